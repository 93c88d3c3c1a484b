// Signing in through the identity provider in a real browser: sso.mjs URL FOLDER. The first failed expectation ends it with code 1.
import { chromium } from 'playwright-core';

const [url, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'], timeout: 120000 });
const problems = [];
let checks = 0;

function check(what, condition, seen = '') {
  checks++;
  if (!condition) throw new Error(`${what}: ${seen}`);
}

async function open(locale) {
  const context = await browser.newContext({ locale, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on('console', (m) => m.type() === 'error' && m.location().url.startsWith(url) && problems.push(`${m.text()} ${m.location().url}`));
  page.on('pageerror', (e) => problems.push(String(e)));
  await page.goto(url);
  await page.waitForSelector('a.sso');
  return page;
}

/** At the provider's own page. */
async function signIn(page, name) {
  await page.click('a.sso');
  await page.waitForSelector('input[name=login]');
  check('the browser is at the provider', !page.url().startsWith(url), page.url());
  const asked = new URL(page.url());
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  return asked;
}

async function session(page) {
  return page.evaluate(() => fetch('api/session').then((answer) => answer.json()));
}

async function comesAndGoes(locale) {
  const page = await open(locale);
  await page.screenshot({ path: `${folder}/sso-${locale}.png` });
  await signIn(page, 'li.wei');
  await page.waitForURL(`${url}`);
  await page.waitForFunction(() => document.querySelector('#words'));
  const who = await session(page);
  check('the server knows who it is', who.user === 'li.wei', JSON.stringify(who));
  const cookies = await page.context().cookies(url);
  const own = cookies.find((c) => c.name.includes('gantry_session'));
  check('the session is hidden from scripts and stays with this site', own?.httpOnly && own.sameSite === 'Strict', JSON.stringify(own));
  check('the secret of the sign-in is gone', !cookies.some((c) => c.name.includes('gantry_sso')), JSON.stringify(cookies));
  check('nothing of the sign-in stands in the address', !/code=|state=/.test(page.url()), page.url());
  await page.click('button.leave');
  await page.waitForSelector('button[name=logout]');
  await page.click('button[name=logout]');
  await page.waitForURL(`${url}`);
  await page.waitForSelector('a.sso');
  check('and is nobody after signing out', (await session(page)).user === '');
  await page.context().close();
}

async function strangerIsTold() {
  const page = await open('zh-CN');
  await signIn(page, 'stranger');
  await page.waitForSelector('p.failure:not(:empty)');
  const words = await page.locator('p.failure:not(:empty)').innerText();
  check('who has no role here is told so, in Chinese', /[\u4e00-\u9fff]{4}/.test(words), words);
  check('and gets no session', (await session(page)).user === '');
  await page.screenshot({ path: `${folder}/sso-stranger.png` });
  await page.context().close();
}

/** An answer that belongs to another browser's question signs nobody in. */
async function stolenAnswerIsWorthless() {
  const page = await open('en');
  const coming = page.waitForRequest((request) => request.url().includes('/api/oidc/callback'));
  await signIn(page, 'li.wei');
  const answer = (await coming).url();
  const other = await open('en');
  await other.goto(answer);
  await other.waitForSelector('p.failure:not(:empty)');
  check('another browser gets no session by it', (await session(other)).user === '');
  await other.context().close();
  await page.context().close();
}

try {
  await comesAndGoes('en');
  await comesAndGoes('zh-CN');
  await strangerIsTold();
  await stolenAnswerIsWorthless();
  check('the browser complains about nothing', problems.length === 0, problems.join('\n'));
  console.log(`${checks} checks`);
} catch (error) {
  console.error(error.stack, problems.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
