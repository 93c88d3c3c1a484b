// The page in a real browser: page.mjs URL FOLDER PATIENT. Screenshots go to FOLDER; the first failed expectation ends it with code 1.
import { chromium } from 'playwright-core';

const [url, folder, patient] = process.argv.slice(2);
const problems = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'], timeout: 120000 });
let checks = 0;

function check(what, condition, seen = '') {
  checks++;
  if (!condition) throw new Error(`${what}: ${seen}`);
}

async function open(locale) {
  const context = await browser.newContext({ locale, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && problems.push(`${locale}: ${m.text()} ${m.location().url}`));
  page.on('pageerror', (e) => problems.push(`${locale}: ${e}`));
  await page.goto(url);
  await page.waitForSelector('tbody tr');
  return page;
}

/** Waits until the picture that is shown has come. */
async function picture(page) {
  await page.waitForFunction(() => {
    const img = document.querySelector('img.picture');
    return img && !img.hidden && img.complete && img.naturalWidth > 0;
  });
  return page.getAttribute('img.picture', 'src');
}

async function list(page, language) {
  check('the page says its language', (await page.getAttribute('html', 'lang')) === language);
  const rows = await page.locator('tbody tr').count();
  check('there are studies', rows > 0, rows);
  await page.screenshot({ path: `${folder}/list-${language}.png` });
  const keys = await page.evaluate(() => import('/web/text.js').then((m) => Object.values(m.TABLES).map((t) => Object.keys(t).sort().join())));
  check('the languages have the same keys', keys.length === 2 && keys[0] === keys[1], keys);
  const all = await page.locator('tbody').innerText();
  check('Chinese names stand as characters', /[\u4e00-\u9fff]{2}/.test(all) && !all.includes('\ufffd'), all.slice(0, 300));
  await page.fill('#words', patient);
  const only = (id) => {
    const all = [...document.querySelectorAll('tbody tr')];
    return all.length > 0 && all.every((tr) => tr.textContent.includes(id));
  };
  await page.waitForFunction(only, patient);
  check('the search finds the patient', (await page.locator('tbody tr').count()) > 0);
  await page.fill('#words', 'nobody at all');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 0);
  check('and says when there is none', (await page.locator('.notice').innerText()).length > 3);
  await page.fill('#words', patient);
  await page.waitForSelector('tbody tr');
}

/** The panel of nodes, queues and volumes. */
async function operations(page, language) {
  const status = await page.evaluate(() => fetch('api/cluster').then((answer) => answer.json()));
  await page.click('#bar nav a[href="#/operations"]');
  await page.waitForSelector('table.ops tbody tr');
  const nodes = page.locator('section:nth-of-type(1) tbody tr');
  check('each node has its row', (await nodes.count()) === status.nodes.length && status.nodes.length > 0, await nodes.count());
  const words = await nodes.first().innerText();
  check('with its name and that it is ready', words.includes(status.nodes[0].name) && words.includes(language === 'en' ? 'ready' : '就绪'), words);
  const volumes = await page.locator('section:nth-of-type(3) tbody tr').count();
  check('the volumes are there', volumes === status.volumes.length, volumes);
  const all = await page.locator('main').innerText();
  check('nothing is without a word', !/undefined|NaN|\{\w+\}/.test(all), all);
  await page.evaluate(() => (document.querySelector('table.ops').dataset.old = 'yes'));
  await page.waitForFunction(() => document.querySelector('table.ops')?.dataset.old === undefined);
  await page.screenshot({ path: `${folder}/operations-${language}.png`, fullPage: true });
}

async function reading(page, language) {
  await page.click('tbody tr:first-child a.name');
  await page.waitForSelector('.series');
  const first = await picture(page);
  const words = await page.locator('.corner.bottom.left').innerText();
  check('the image number is shown', /\b1\b/.test(words), words);
  const banner = await page.locator('.banner').innerText();
  check('the banner names the patient', banner.includes(patient), banner);
  await page.waitForFunction(() => document.querySelector('.corner.bottom.right').textContent !== '');
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${folder}/study-${language}.png` });
  await page.hover('.pane');
  for (let i = 0; i < 3; i++) await page.mouse.wheel(0, 120);
  await page.waitForFunction((src) => document.querySelector('img.picture').getAttribute('src') !== src, first);
  check('the wheel turns to another image', (await picture(page)) !== first);
  await page.keyboard.press('Home');
  await page.waitForFunction((src) => document.querySelector('img.picture').getAttribute('src') === src, first);
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction((src) => document.querySelector('img.picture').getAttribute('src') !== src, first);
  check('keys turn too', /\b2\b/.test(await page.locator('.corner.bottom.left').innerText()));
  const box = await page.locator('.pane').boundingBox();
  await page.mouse.move(box.x + 200, box.y + 200);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + 260, { steps: 6 });
  await page.mouse.up();
  await page.waitForFunction(() => document.querySelector('img.picture').getAttribute('src').includes('window='));
  await picture(page);
  await page.screenshot({ path: `${folder}/window-${language}.png` });
  await page.keyboard.press('r');
  await page.waitForFunction(() => !document.querySelector('img.picture').getAttribute('src').includes('window='));
}

try {
  for (const language of ['en', 'zh-CN']) {
    const page = await open(language);
    await list(page, language);
    await reading(page, language);
    await page.click('.back');
    await page.waitForSelector('tbody tr');
    check('going back keeps the search', (await page.inputValue('#words')) === patient);
    await page.fill('#words', 'PAGE-2');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    check('a study under two patients is flagged', (await page.locator('.flag').count()) === 1);
    await page.click('a.name');
    await picture(page);
    check('and shows only the images of the patient that was opened', /\b1\b.*\b1\b/.test(await page.locator('.corner.bottom.left').innerText()));
    check('under that patient and with a warning', /PAGE-2/.test(await page.locator('.banner').innerText()) && (await page.locator('.banner .flag').count()) === 1);
    await page.screenshot({ path: `${folder}/shared-${language}.png` });
    await page.goto(`${url}#/attention`);
    await page.waitForSelector('section.sheet:nth-of-type(1) table');
    await page.waitForSelector('section.sheet:nth-of-type(2) table');
    check('what needs attention is counted in the bar', (await page.locator('.badge').innerText()) === '3', await page.locator('#bar').innerText());
    await page.screenshot({ path: `${folder}/attention-${language}.png` });
    await operations(page, language);
    await page.click('#bar button');
    await page.waitForFunction((l) => document.documentElement.lang !== l, language);
    check('the language can be switched', (await page.getAttribute('html', 'lang')) !== language);
    await page.context().close();
  }
  check('the browser complains about nothing', problems.length === 0, problems.join('\n'));
  console.log(`${checks} checks`);
} catch (error) {
  console.error(error.stack, problems.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
