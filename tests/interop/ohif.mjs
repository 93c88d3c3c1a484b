// OHIF in a real browser against Gantry: ohif.mjs DIST GANTRY SHOTS EXPECTED.json. The viewer comes from an origin of its own, so that CORS is at work.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [dist, gantry, shots, expectedFile] = process.argv.slice(2);
const expected = JSON.parse(fs.readFileSync(expectedFile, 'utf8'));
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html', '.wasm': 'application/wasm', '.json': 'application/json', '.svg': 'image/svg+xml' };
const CONFIG = `window.config = {
  routerBasename: null, showStudyList: true, extensions: [], modes: [], investigationalUseDialog: { option: 'never' },
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false, defaultDataSourceName: 'gantry',
  dataSources: [{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'gantry', configuration: {
    friendlyName: 'Gantry', name: 'gantry', wadoUriRoot: '${gantry}/wado', qidoRoot: '${gantry}/dicom-web', wadoRoot: '${gantry}/dicom-web',
    qidoSupportsIncludeField: true, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: true,
    supportsWildcard: true, bulkDataURI: { enabled: true } } }] };`;

const files = http.createServer((request, response) => {
  const name = new URL(request.url, 'http://here').pathname;
  if (name === '/app-config.js') return response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(CONFIG);
  let file = path.join(dist, path.normalize(name));
  if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) file = path.join(dist, 'index.html');
  response.writeHead(200, { 'Content-Type': TYPES[path.extname(file)] || 'application/octet-stream' });
  fs.createReadStream(file).pipe(response);
});
await new Promise((done) => files.listen(Number(expected.port), '127.0.0.1', done));
const viewer = `http://127.0.0.1:${files.address().port}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
  timeout: 120000,
});
const failures = [];
let asked = 0;
let checks = 0;

function check(what, condition, seen = '') {
  checks++;
  if (!condition) throw new Error(`${what}: ${seen}`);
}

async function open(locale) {
  const context = await browser.newContext({ locale, viewport: { width: 1400, height: 900 } });
  // The tour of a first visit would stand before the images.
  await context.addInitScript(() => localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour'])));
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on('response', (r) => {
    if (!r.url().startsWith(gantry)) return;
    asked++;
    if (r.status() >= 400) failures.push(`${r.status()} ${r.url()}`);
  });
  page.on('requestfailed', (r) => r.url().startsWith(gantry) && r.failure()?.errorText !== 'net::ERR_ABORTED' && failures.push(`${r.failure()?.errorText} ${r.url()}`));
  page.on('console', (m) => m.type() === 'error' && /CORS|Access-Control|decode|Failed to load/i.test(m.text()) && failures.push(m.text()));
  return page;
}

/** How many gray levels and how many coloured pixels the images on the page have. */
function seen(page) {
  return page.evaluate(() => {
    const grays = new Set();
    let coloured = 0;
    for (const canvas of document.querySelectorAll('canvas.cornerstone-canvas')) {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4) {
        if (Math.abs(data[i] - data[i + 1]) > 24 || Math.abs(data[i + 1] - data[i + 2]) > 24) coloured++;
        else grays.add(data[i]);
      }
    }
    return { grays: grays.size, coloured };
  });
}

async function shown(page, what, enough) {
  const yes = page.locator('button', { hasText: /^Yes$/ }); // it may ask whether to open what was chosen, sooner or later
  let last;
  for (let i = 0; i < 240; i++) {
    if (await yes.count()) await yes.first().click();
    last = await seen(page);
    if (enough(last)) return check(what, true);
    await page.waitForTimeout(500);
  }
  await page.screenshot({ path: `${shots}/failed.png` });
  check(what, false, JSON.stringify(last));
}

async function list(page) {
  await page.goto(viewer);
  await page.waitForSelector('tbody tr');
  await page.waitForFunction((name) => document.body.innerText.includes(name), expected.name);
  const words = await page.locator('body').innerText();
  check('the Chinese name stands as characters', words.includes(expected.name) && !words.includes('\ufffd'), words.slice(0, 400));
  await page.screenshot({ path: `${shots}/ohif-list.png` });
}

const SHOWN = {
  gray: (s) => s.grays > 40,
  colour: (s) => s.coloured > 500,
};

async function study(page, { uid, name, thumbnails, looks }) {
  await page.goto(`${viewer}/viewer?StudyInstanceUIDs=${uid}`);
  await page.waitForSelector('canvas.cornerstone-canvas');
  await shown(page, `${name} is displayed`, SHOWN[looks]);
  await page.screenshot({ path: `${shots}/ohif-${name}.png` });
  for (const { number, modality, looks: as } of thumbnails ?? []) {
    const thumbnail = page.locator('[data-cy^="study-browser-thumbnail"]').filter({ hasText: modality }).nth(number);
    await thumbnail.dblclick();
    await page.waitForTimeout(1500);
    await shown(page, `${modality} of ${name} is displayed`, SHOWN[as]);
    await page.screenshot({ path: `${shots}/ohif-${name}-${modality}.png` });
  }
}

try {
  const page = await open('zh-CN');
  await list(page);
  for (const one of expected.studies) await study(page, one);
  check('OHIF asked Gantry', asked > 10, asked);
  check('no request failed', failures.length === 0, failures.join('\n'));
  console.log(`${checks} checks, ${asked} requests`);
} catch (error) {
  console.error(error.stack, failures.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
  files.close();
}
