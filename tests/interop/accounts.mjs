// Signing in on the page, as a person does: accounts.mjs URL FOLDER ONE_TIME_PASSWORD. Screenshots go to FOLDER; the first failed expectation ends it with code 1.
import { createHmac } from 'node:crypto';
import { chromium } from 'playwright-core';

const [url, folder, oneTime] = process.argv.slice(2);
const PASSWORD = 'seven purple elephants';
const problems = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'], timeout: 120000 });
let checks = 0;

function check(what, condition, seen = '') {
  checks++;
  if (!condition) throw new Error(`${what}: ${seen}`);
}

/** A one-time code of RFC 6238. */
function totp(secret, step) {
  let bits = '';
  for (const c of secret) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0');
}

async function open(locale) {
  const context = await browser.newContext({ locale, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on('pageerror', (e) => problems.push(`${locale}: ${e}`));
  await page.goto(url);
  await page.waitForSelector('form.card');
  check('the page says its language', (await page.getAttribute('html', 'lang')) === locale);
  return page;
}

async function signIn(page, password, code) {
  await page.fill('#name', 'admin');
  await page.fill('#password', password);
  if (code) await page.fill('#code', code);
  await page.click('form.card button.primary');
}

/** The first sign-in: the one-time password, then one of one's own. */
async function first(page) {
  await page.screenshot({ path: `${folder}/sign-in-en.png` });
  await signIn(page, 'not the password');
  await page.waitForFunction(() => document.querySelector('.failure')?.textContent);
  check('a wrong password is told in words', (await page.locator('.failure').innerText()).includes('not right'));
  await signIn(page, oneTime);
  await page.waitForSelector('#new');
  check('nothing else is offered before the password is changed', (await page.locator('#bar nav').count()) === 0);
  await page.fill('#new', 'password1234');
  await page.fill('#new-again', 'password1234');
  await page.click('form.card button.primary');
  await page.waitForFunction(() => document.querySelector('.failure')?.textContent);
  await page.screenshot({ path: `${folder}/change-password-en.png` });
  await page.fill('#new', PASSWORD);
  await page.fill('#new-again', 'another thing altogether');
  await page.click('form.card button.primary');
  await page.waitForFunction(() => document.querySelector('.failure')?.textContent.includes('same'));
  await page.fill('#new-again', PASSWORD);
  await page.click('form.card button.primary');
  await page.waitForSelector('#bar nav');
}

/** Setting up the second factor; its secret and the recovery codes. */
async function factor(page) {
  await page.click('#bar a[href="#/account"]');
  await page.waitForSelector('.account table.rows');
  await page.screenshot({ path: `${folder}/account-en.png`, fullPage: true });
  await page.click('.account section:nth-of-type(3) button');
  await page.waitForSelector('#factor-code');
  const uri = await page.getAttribute('.account a[href^="otpauth:"]', 'href');
  const secret = new URL(uri).searchParams.get('secret');
  const step = Math.floor(Date.now() / 30000);
  await page.fill('#factor-code', totp(secret, step));
  await page.click('.account section:nth-of-type(3) button.primary');
  await page.waitForSelector('.codes li');
  const codes = await page.locator('.codes li').allInnerTexts();
  check('ten recovery codes are shown', codes.length === 10 && codes.every((c) => /^[A-Z2-7]{4}(-[A-Z2-7]{4}){3}$/.test(c)), codes);
  return { codes };
}

/** A token for a program, shown once. */
async function token(page) {
  await page.reload();
  await page.waitForSelector('#token-name');
  await page.fill('#token-name', 'laptop');
  await page.locator('form:has(#token-name) button').click();
  await page.waitForFunction(() => [...document.querySelectorAll('.account .mono')].some((m) => /^[0-9a-f]{64}$/.test(m.textContent)));
  const shown = await page.locator('.account .mono').last().innerText();
  const answer = await fetch(new URL('api/account/tokens', url), { headers: { Authorization: `Bearer ${shown}` } });
  check('the token opens the API', answer.status === 403, answer.status); // it is known, and no person
}

const page = await open('en');
await first(page);
const { codes } = await factor(page);
await token(page);
await page.locator('#bar button.plain').last().click();
await page.waitForSelector('form.card #name');

const chinese = await open('zh-CN');
await signIn(chinese, PASSWORD);
await chinese.waitForSelector('#code:visible');
await chinese.screenshot({ path: `${folder}/sign-in-code-zh-CN.png` });
check('the code is asked for in Chinese', (await chinese.locator('form.card').innerText()).includes('验证码'));
await signIn(chinese, PASSWORD, '000000');
await chinese.waitForFunction(() => document.querySelector('.failure')?.textContent);
await signIn(chinese, PASSWORD, codes[0]);
await chinese.waitForSelector('#bar nav');
await chinese.click('#bar a[href="#/account"]');
await chinese.waitForSelector('.account table.rows');
await chinese.screenshot({ path: `${folder}/account-zh-CN.png`, fullPage: true });
const words = await chinese.locator('.account').innerText();
check('the account is Chinese, too', words.includes('第二因素') && words.includes('当前会话'), words.slice(0, 400));
check('nothing went wrong on the way', problems.length === 0, problems.join('\n'));
await browser.close();
console.log(`${checks} checks`);
