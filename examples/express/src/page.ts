/** The front page. */
export const page =
  '<!doctype html><html lang="en"><title>Passage</title><p><a href="/passage/login">Log in</a></p></html>';
