// dicomweb-client in a real browser, every call it has: dicomweb_client.mjs GANTRY NATIVE.dcm COMPRESSED.dcm CLIP.dcm (one study, JPEG-LS; the clip JPEG).
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [gantry, ...paths] = process.argv.slice(2);
const files = paths.map((p) => fs.readFileSync(p).toString('base64'));
const script = createRequire(import.meta.url).resolve('dicomweb-client').replace(/[^/]*$/, 'dicomweb-client.js');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'], timeout: 120000 });

// Runs in the page.
async function calls({ files, gantry }) {
  let checks = 0;
  const check = (what, condition, seen = '') => {
    checks++;
    if (!condition) throw new Error(`${what}: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`);
  };
  const datasets = files.map((f) => Uint8Array.from(atob(f), (c) => c.charCodeAt(0)).buffer);
  const same = (a, b) => a.byteLength === b.byteLength && new Uint8Array(a).every((v, i) => v === new Uint8Array(b)[i]);
  // The client gives what came as one part as a list of one.
  const only = (result) => (Array.isArray(result) ? result[0] : result);
  const starts = (result, ...bytes) => bytes.every((b, i) => new Uint8Array(only(result))[i] === b);
  const value = (ds, tag, i = 0) => ds[tag]?.Value?.[i];
  const refused = async (promise, status) => promise.then(() => 'no error', (e) => (e.status === status ? true : e.status ?? String(e)));
  const client = new window.DICOMwebClient.api.DICOMwebClient({ url: `${gantry}/dicom-web`, verbose: false });

  // STOW-RS
  const stored = JSON.parse(await client.storeInstances({ datasets }));
  check('all are stored', stored['00081199'].Value.length === datasets.length, stored);
  const [native, compressed, clip] = stored['00081199'].Value.map((item) => {
    const [, studyInstanceUID, seriesInstanceUID, sopInstanceUID] = value(item, '00081190').match(/studies\/([\d.]+)\/series\/([\d.]+)\/instances\/([\d.]+)$/);
    return { studyInstanceUID, seriesInstanceUID, sopInstanceUID };
  });
  await client.storeInstances({ studyInstanceUID: native.studyInstanceUID, datasets: [datasets[0]] });
  check('another study is refused with 409', (await refused(client.storeInstances({ studyInstanceUID: '1.2.3', datasets: [datasets[0]] }), 409)) === true);

  // QIDO-RS
  const studies = await client.searchForStudies({ queryParams: { StudyInstanceUID: native.studyInstanceUID, includefield: 'all' } });
  check('the study is found', studies.length === 1 && value(studies[0], '0020000D') === native.studyInstanceUID, studies);
  check('with its Chinese name', value(studies[0], '00100010').Alphabetic.includes('王'), studies[0]['00100010']);
  check('by a part of it', (await client.searchForStudies({ queryParams: { PatientName: '王*' } })).length === 1);
  check('and by nothing at all', (await client.searchForStudies()).length >= 1);
  const series = await client.searchForSeries({ studyInstanceUID: native.studyInstanceUID });
  check('its series', series.some((s) => value(s, '0020000E') === native.seriesInstanceUID), series);
  check('series of all studies', (await client.searchForSeries()).length >= series.length);
  check('its instances', (await client.searchForInstances({ studyInstanceUID: native.studyInstanceUID })).length >= 2);
  check('of a series', (await client.searchForInstances(native)).some((i) => value(i, '00080018') === native.sopInstanceUID));
  check('limited', (await client.searchForInstances({ queryParams: { limit: 1 } })).length === 1);
  check('nothing is an empty list', (await client.searchForStudies({ queryParams: { PatientID: 'nobody' } })).length === 0);

  // Metadata and bulk data
  check('metadata of a study', (await client.retrieveStudyMetadata(native)).length >= 2);
  check('of a series', (await client.retrieveSeriesMetadata(native)).length >= 1);
  const [metadata] = await client.retrieveInstanceMetadata(native);
  check('of an instance', value(metadata, '00080018') === native.sopInstanceUID);
  const rows = value(metadata, '00280010'), columns = value(metadata, '00280011');
  const uri = new URL(metadata['7FE00010'].BulkDataURI, gantry).href;
  const [pixels] = await client.retrieveBulkData({ BulkDataURI: uri });
  check('pixels as bulk data', pixels.byteLength === rows * columns * 2, pixels.byteLength);
  const single = new window.DICOMwebClient.api.DICOMwebClient({ url: `${gantry}/dicom-web`, verbose: false, singlepart: true });
  check('also as a single part', same(only(await single.retrieveBulkData({ BulkDataURI: uri, headers: { Accept: 'application/octet-stream' } })), pixels));

  // Objects
  check('an instance comes back as it was', same(await client.retrieveInstance(native), datasets[0]));
  check('a compressed one is uncompressed, which is the default', (await client.retrieveInstance(compressed)).byteLength > datasets[1].byteLength);
  check('a series', (await client.retrieveSeries(native)).length >= 1);
  check('a study', (await client.retrieveStudy(native)).length >= 2);

  // Frames
  const frames = (options) => client.retrieveInstanceFrames(options);
  const [frame] = await frames({ ...native, frameNumbers: [1] });
  check('a frame is the pixels', same(frame, pixels));
  const [decoded] = await frames({ ...compressed, frameNumbers: [1] });
  check('a compressed one is decoded', decoded.byteLength === rows * columns * 2, decoded.byteLength);
  const [jls] = await frames({ ...compressed, frameNumbers: [1], mediaTypes: [{ mediaType: 'image/jls', transferSyntaxUID: '1.2.840.10008.1.2.4.80' }] });
  check('or as JPEG-LS', starts(jls, 0xff, 0xd8) && jls.byteLength < decoded.byteLength);
  const three = await frames({ ...clip, frameNumbers: [1, 3, 2], mediaTypes: [{ mediaType: 'image/jpeg', transferSyntaxUID: '1.2.840.10008.1.2.4.50' }] });
  check('three frames of a clip', three.length === 3 && three.every((f) => starts(f, 0xff, 0xd8)), three.length);
  const mixed = [{ mediaType: 'application/octet-stream', transferSyntaxUID: '1.2.840.10008.1.2.1' }, { mediaType: 'image/jls', transferSyntaxUID: '1.2.840.10008.1.2.4.80' }];
  check('either of two media types', (await client.retrieveInstanceFrames({ ...compressed, frameNumbers: [1], mediaTypes: mixed })).length > 0);
  check('no frame beyond the last', (await refused(frames({ ...native, frameNumbers: [2] }), 404)) === true);

  // Rendered
  const jpeg = await client.retrieveInstanceRendered({ ...compressed, mediaTypes: [{ mediaType: 'image/jpeg' }], queryParams: { quality: 80, viewport: '64,64' } });
  check('rendered as JPEG', starts(jpeg, 0xff, 0xd8, 0xff));
  check('as PNG', starts(await client.retrieveInstanceRendered({ ...native, mediaTypes: [{ mediaType: 'image/png' }] }), 0x89, 0x50, 0x4e, 0x47));
  check('as the server likes', starts(await client.retrieveInstanceRendered(native), 0xff, 0xd8));
  check('a frame', starts(await client.retrieveInstanceFramesRendered({ ...clip, frameNumbers: [2], mediaTypes: [{ mediaType: 'image/jpeg' }] }), 0xff, 0xd8));
  check('a clip as GIF', starts(await client.retrieveInstanceRendered({ ...clip, mediaTypes: [{ mediaType: 'image/gif' }] }), 0x47, 0x49, 0x46, 0x38));
  check('a thumbnail', starts(await client.retrieveInstanceThumbnail({ ...compressed, mediaTypes: [{ mediaType: 'image/jpeg' }] }), 0xff, 0xd8));
  check('a thumbnail of a frame', starts(await client.retrieveInstanceFramesThumbnail({ ...clip, frameNumbers: [3], mediaTypes: [{ mediaType: 'image/jpeg' }] }), 0xff, 0xd8));

  // WADO-URI
  const wado = new window.DICOMwebClient.api.DICOMwebClient({ url: `${gantry}/wado`, verbose: false });
  const url = wado.buildInstanceWadoURIUrl({ ...compressed, contentType: 'application/dicom', transferSyntax: '1.2.840.10008.1.2.4.80' });
  const answer = await fetch(url);
  check('WADO-URI gives the object', answer.status === 200 && starts((await answer.arrayBuffer()).slice(128), 0x44, 0x49, 0x43, 0x4d), `${answer.status} ${url}`);
  return checks;
}

try {
  const page = await (await browser.newContext({ bypassCSP: true })).newPage();
  await page.goto(`${gantry}/`);
  await page.addScriptTag({ path: script });
  console.log(`${await page.evaluate(calls, { files, gantry })} checks`);
} catch (error) {
  console.error(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
}
