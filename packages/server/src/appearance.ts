import { z } from 'zod';
import { strict } from './strict.ts';

const colorRule = 'must be a CSS color in hex, such as #1a2b3c';
const color = z.string(colorRule).regex(/^#([\da-f]{3,4}|[\da-f]{6}|[\da-f]{8})$/i, colorRule);
const pixelRule = 'must be a whole number of pixels, 0 to 10000';
const pixels = z.int(pixelRule).min(0, pixelRule).max(10_000, pixelRule);
const fontRule = 'must be the name of a font';
const font = z.string(fontRule).regex(/^[\p{L}\p{N} ,'"_-]{1,200}$/u, fontRule);

/** Makes the schema of a look: wire names, as in the documentation of the official front end. */
function appearance({ container, input, text }: Record<'container' | 'input' | 'text', string>) {
  return strict({
    passage_container_background_color: color.default(container),
    passage_container_max_width: pixels.default(300),
    passage_input_box_background_color: color.default(input),
    passage_input_box_border_radius: pixels.default(5),
    passage_header_font_family: font.default('Helvetica'),
    passage_body_font_family: font.default('Helvetica'),
    passage_header_text_color: color.default(text),
    passage_body_text_color: color.default(text),
    passage_primary_button_background_color: color.default('#121212'),
    passage_primary_button_text_color: color.default('#f3f3f3'),
    passage_primary_button_hover_color: color.default('#4d4d4d'),
    passage_primary_button_border_radius: pixels.default(5),
    passage_primary_button_border_color: color.default('#121212'),
    passage_primary_button_border_width: pixels.default(0),
    passage_secondary_button_background_color: color.default('#ffffff'),
    passage_secondary_button_text_color: color.default('#222222'),
    passage_secondary_button_hover_color: color.default('#d7d7d7'),
    passage_secondary_button_border_radius: pixels.default(5),
    passage_secondary_button_border_color: color.default('#d7d7d7'),
    passage_secondary_button_border_width: pixels.default(1),
  });
}

export const light = appearance({ container: '#ffffff', input: '#ffffff', text: '#222222' });
export const dark = appearance({ container: '#383838', input: '#4b4b4b', text: '#f3f3f3' });

/** Look of the official front end: wire names, as in its documentation. Colors are CSS hex, sizes are in pixels. */
export interface ElementCustomization extends Readonly<z.input<typeof light>> {}
