import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Passage, type PassageOptions } from './index.ts';
import { Issuer } from './issuer.fixture.ts';

beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('PASSAGE_')) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const good: PassageOptions = { appId: 'app1', baseUrl: 'https://passage.example' };

describe('new Passage', () => {
  it.each<[string, PassageOptions, RegExp]>([
    ['no app id', { ...good, appId: undefined }, /"appId" option or PASSAGE_APP_ID must be set/],
    ['an empty app id', { ...good, appId: '' }, /"appId"/],
    ['an app id that is a path', { ...good, appId: 'a/b' }, /"appId"/],
    ['an app id that climbs', { ...good, appId: '..' }, /"appId"/],
    ['no base URL', { ...good, baseUrl: undefined }, /"baseUrl" option or PASSAGE_BASE_URL must be set/],
    ['an empty base URL', { ...good, baseUrl: '' }, /"baseUrl".*absolute URL/],
    ['a base URL without a scheme', { ...good, baseUrl: 'passage.example' }, /"baseUrl".*absolute URL/],
    ['a base URL of no text', { ...good, baseUrl: 1 as never }, /"baseUrl".*absolute URL/],
    ['plain http', { ...good, baseUrl: 'http://passage.example' }, /"baseUrl".*https/],
    ['plain http on a host that looks local', { ...good, baseUrl: 'http://localhost.evil.example' }, /https/],
    ['a file', { ...good, baseUrl: 'file:///etc' }, /"baseUrl".*https/],
    ['credentials', { ...good, baseUrl: 'https://u:p@passage.example' }, /"baseUrl".*credentials/],
    ['a user name', { ...good, baseUrl: 'https://u@passage.example' }, /"baseUrl".*credentials/],
    ['a query', { ...good, baseUrl: 'https://passage.example?x' }, /"baseUrl".*query/],
    ['a fragment', { ...good, authUrl: 'https://passage.example/#x' }, /"authUrl".*fragment/],
    ['the retired service', { ...good, baseUrl: 'https://auth.passage.id/v1' }, /"baseUrl".*retired/],
    ['the retired domain', { ...good, apiUrl: 'https://passage.id' }, /"apiUrl".*retired/],
    ['an empty API key', { ...good, apiKey: '' }, /"apiKey"/],
    ['an API key with a line break', { ...good, apiKey: 'key\n' }, /"apiKey".*line breaks/],
    ['no issuer in the list', { ...good, issuer: [] }, /"issuer"/],
    ['an empty issuer', { ...good, issuer: '' }, /"issuer"/],
    ['a cookie that is no name', { ...good, cookie: 'a=b' }, /"cookie"/],
    ['a cookie that is no text', { ...good, cookie: true as never }, /"cookie"/],
    [
      'a token source that is none',
      { ...good, tokenSource: 'header' as never },
      /"tokenSource" option must be a function/,
    ],
    ['a fetch that is none', { ...good, fetch: {} as never }, /"fetch" option must be a function/],
    ['a clock that is none', { ...good, clock: 1 as never }, /"clock" option must be a function/],
    ['a negative tolerance', { ...good, clockTolerance: -1 }, /"clockTolerance".*0 to 60/],
    ['a tolerance of hours', { ...good, clockTolerance: 3600 }, /"clockTolerance".*0 to 60/],
    ['a tolerance that is no number', { ...good, clockTolerance: Number.NaN }, /"clockTolerance"/],
    ['a timeout of nothing', { ...good, timeout: 0 }, /"timeout".*1 to 10000/],
    ['a timeout as text', { ...good, timeout: '5' as never }, /"timeout"/],
    ['a negative cache', { ...good, tokenCacheSize: -1 }, /"tokenCacheSize"/],
    ['users remembered for days', { ...good, userCacheTtl: 86_400 }, /"userCacheTtl".*0 to 3600/],
    ['users loaded without a key', { ...good, loadUser: true }, /"loadUser" needs the "apiKey"/],
    ['loadUser of another type', { ...good, loadUser: 1 as never }, /"loadUser"/],
  ])('refuses %s', (_name, options, message) => {
    expect(() => new Passage(good)).not.toThrow();
    expect(() => new Passage(options)).toThrow(TypeError);
    expect(() => new Passage(options)).toThrow(message);
  });

  it('names no value in its errors', () => {
    const secret = 'secret with space';
    expect(() => new Passage({ ...good, apiKey: secret })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret with') }),
    );
  });

  it.each(['http://localhost:3000', 'http://app.localhost', 'http://127.0.0.1:1', 'http://[::1]:3000/base/'])(
    'accepts plain http at %s',
    (baseUrl) => {
      expect(() => new Passage({ ...good, baseUrl })).not.toThrow();
    },
  );

  const privateUrls = [
    'http://passage:3000/auth',
    'http://passage.:3000',
    'http://10.0.0.1',
    'http://172.16.0.1',
    'http://172.31.255.255',
    'http://192.168.1.20:3000',
    'http://[fc00::1]',
    'http://[fd12:3456::1]:3000',
    'http://passage.internal',
    'http://passage.default.svc:3000',
    'http://passage.default.svc.cluster.local',
    'http://PASSAGE.LOCAL.',
  ];
  it.each(privateUrls)('accepts plain http at %s only where it is told to', (baseUrl) => {
    expect(() => new Passage({ ...good, baseUrl })).toThrow(
      /"baseUrl".*https.*"allowPrivateHttp".*PASSAGE_ALLOW_PRIVATE_HTTP/,
    );
    expect(() => new Passage({ ...good, baseUrl, allowPrivateHttp: true })).not.toThrow();
    vi.stubEnv('PASSAGE_ALLOW_PRIVATE_HTTP', 'true');
    expect(() => new Passage({ ...good, authUrl: baseUrl, apiUrl: baseUrl })).not.toThrow();
    expect(() => new Passage({ ...good, baseUrl, allowPrivateHttp: false })).toThrow(/https/);
  });

  it.each([
    'http://passage.example',
    'http://internal.example',
    'http://passage.localdomain',
    'http://10.example',
    'http://11.0.0.1',
    'http://172.15.0.1',
    'http://172.32.0.1',
    'http://192.169.0.1',
    'http://169.254.169.254',
    'http://100.64.0.1',
    'http://3232235777.example',
    'http://8.8.8.8',
    'http://134744072',
    'http://[2001:db8::1]',
    'http://[fc::1]',
    'http://[fe80::1]',
    'http://[::ffff:8.8.8.8]',
    'ftp://passage',
  ])('never accepts %s', (baseUrl) => {
    for (const allowPrivateHttp of [true, false]) {
      const create = () => new Passage({ ...good, baseUrl, allowPrivateHttp });
      expect(create).toThrow(/"baseUrl".*https.* only/);
    }
  });

  it.each(['yes', '1', 'TRUE'])('refuses "%s" for a switch', (value) => {
    vi.stubEnv('PASSAGE_ALLOW_PRIVATE_HTTP', value);
    expect(() => new Passage(good)).toThrow(
      /"allowPrivateHttp" option or PASSAGE_ALLOW_PRIVATE_HTTP must be/,
    );
    expect(() => new Passage({ ...good, allowPrivateHttp: value as never })).toThrow(TypeError);
  });

  it('reads the environment, and sends nothing', async () => {
    await using issuer = await Issuer.start();
    vi.stubEnv('PASSAGE_APP_ID', 'app1');
    vi.stubEnv('PASSAGE_BASE_URL', `${issuer.baseUrl}/`);
    vi.stubEnv('PASSAGE_API_KEY', '');
    const passage = new Passage({ clock: () => issuer.now });
    expect(issuer.requests).toEqual([]);
    expect(passage.appId).toBe('app1');
    await expect(passage.auth.validateJwt(await issuer.sign())).resolves.toBe('user1');
    await expect(passage.user.get('user1')).rejects.toThrow(/"apiKey" option or PASSAGE_API_KEY/);
  });

  it('reads the finer variables, unless a base URL is given in code', async () => {
    await using issuer = await Issuer.start();
    vi.stubEnv('PASSAGE_APP_ID', 'app1');
    vi.stubEnv('PASSAGE_AUTH_URL', `${issuer.baseUrl}/auth/v1`);
    vi.stubEnv('PASSAGE_API_URL', `${issuer.baseUrl}/api/v1`);
    vi.stubEnv('PASSAGE_API_KEY', 'key');
    vi.stubEnv('PASSAGE_LOAD_USER', 'false');
    vi.stubEnv('PASSAGE_ISSUER', 'https://issuer.example');
    const passage = new Passage({ clock: () => issuer.now });
    const headers = { authorization: `Bearer ${await issuer.sign({ iss: 'https://issuer.example' })}` };
    const principal = await passage.auth.authenticate(headers);
    expect(() => principal.user).toThrow(TypeError);
    await expect(principal.loadUser()).rejects.toMatchObject({ status: 502 });
    expect(issuer.requests.at(-1)?.url).toBe('/api/v1/apps/app1/users/user1');
    vi.stubEnv('PASSAGE_AUTH_URL', 'nonsense');
    expect(() => new Passage()).toThrow(/PASSAGE_AUTH_URL/);
    expect(() => new Passage({ baseUrl: issuer.baseUrl })).not.toThrow();
    vi.stubEnv('PASSAGE_LOAD_USER', 'yes');
    expect(() => new Passage({ baseUrl: issuer.baseUrl })).toThrow(/PASSAGE_LOAD_USER/);
  });

  it('says when there is no URL for the Management API', async () => {
    const passage = new Passage({ appId: 'app1', apiKey: 'key', authUrl: 'https://passage.example/auth/v1' });
    await expect(passage.app()).rejects.toThrow(/"baseUrl" option or PASSAGE_BASE_URL/);
  });

  it('works where there is no process, as on edge runtimes', () => {
    vi.stubGlobal('process', undefined);
    try {
      expect(() => new Passage(good)).not.toThrow();
      expect(() => new Passage()).toThrow(/"appId"/);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});

describe('options from JavaScript, which has no compiler', () => {
  const names = [
    'appId,apiKey,baseUrl,authUrl,apiUrl,issuer,cookie,tokenSource,clockTolerance,timeout',
    'loadUser,jwks,tokenCacheSize,userCacheTtl,fetch,clock,allowPrivateHttp',
  ].flatMap((list) => list.split(','));

  it.each(names)('"%s" must not be null, a symbol or a list of nothing', (name) => {
    for (const value of [null, Symbol('x'), [], [null]]) {
      expect(() => new Passage({ ...good, [name]: value })).toThrow(`"${name}"`);
    }
  });

  it.each(names)('"%s" must not be misspelled', (name) => {
    const [first = '', second = '', ...rest] = name;
    const misspelled = [
      name.slice(1),
      name.slice(0, -1),
      `${name}s`,
      `x${name}`,
      [second, first, ...rest].join(''),
      `${name.slice(0, 2)}_${name.slice(3)}`,
      name.toUpperCase(),
    ];
    for (const wrong of misspelled) {
      const message = `"${wrong}" is not an option: did you mean "${name}"?`;
      expect(() => new Passage({ ...good, [wrong]: undefined })).toThrow(new TypeError(message));
      expect(() => Passage.from({ ...good, [wrong]: 1 } as never)).toThrow(new TypeError(message));
    }
  });

  it.each([
    ['loadUser', 'true'],
    ['loadUser', 1],
    ['allowPrivateHttp', 'false'],
    ['clockTolerance', Number.NaN],
    ['clockTolerance', '5'],
    ['timeout', Number.NaN],
    ['timeout', Number.POSITIVE_INFINITY],
    ['tokenCacheSize', Number.NaN],
    ['tokenCacheSize', true],
    ['userCacheTtl', Number.NaN],
    ['userCacheTtl', '30'],
    ['issuer', 5],
    ['issuer', {}],
    ['issuer', [5]],
    ['cookie', { match: () => true }],
    ['jwks', 'keys'],
    ['apiKey', 5],
    ['appId', 5],
  ])('"%s" must not be %j', (name, value) => {
    expect(() => new Passage({ ...good, apiKey: 'key', [name]: value })).toThrow(TypeError);
    expect(() => new Passage({ ...good, apiKey: 'key', [name]: value })).toThrow(`"${name}"`);
  });

  it.each([
    ['audience', 'app1'],
    ['algorithms', ['RS256']],
    ['constructor', 1],
    ['optional', true],
    ['passage', {}],
  ])('"%s" is unknown to a client', (name, value) => {
    const message = new TypeError(`"${name}" is not an option`);
    expect(() => new Passage({ ...good, [name]: value })).toThrow(message);
  });

  it.each([[null], ['https://passage.example'], [[]], [1]])('%j is no bag of options', (options) => {
    expect(() => new Passage(options as never)).toThrow(/options must be an object/);
    expect(() => Passage.from(options as never)).toThrow(/options must be an object/);
  });

  it.each([
    ['optional', 'true'],
    ['loadUser', 'false'],
    ['passage', 'client'],
    ['passage', {}],
    ['optionall', true],
  ])('"%s" must not be %j in an adapter, also beside a client', (name, value) => {
    const options = { passage: new Passage(good), [name]: value };
    expect(() => Passage.from(options)).toThrow(TypeError);
    expect(() => Passage.from(options)).toThrow(`"${name}"`);
  });

  it('may have the names that an adapter reads itself', () => {
    expect(Passage.from({ ...good, optional: true, prefix: '/x' } as never, 'prefix')).toBeInstanceOf(
      Passage,
    );
    expect(() => Passage.from({ ...good, prefix: '/x' } as never)).toThrow('"prefix" is not an option');
  });
});

describe('Passage.from', () => {
  it('takes the client that is given, and makes one otherwise', () => {
    const passage = new Passage(good);
    expect(Passage.from({ passage })).toBe(passage);
    expect(Passage.from(good)).toBeInstanceOf(Passage);
    expect(() => Passage.from()).toThrow(TypeError);
  });
});
