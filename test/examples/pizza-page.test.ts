import { networkInterfaces } from 'node:os'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startDemo } from '../support/demo.js'
import { checkPage, phone } from '../support/page-check.js'
import { startRedis } from '../support/servers/redis.js'
import { chromiumForTest, withServer } from '../support/servers/require.js'

/** What went wrong in the pages. */
const troubles: string[] = []

/** A window of its own. */
async function openWindow (t: Test, browser: Browser, url: string, options?: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.on('pageerror', (error) => troubles.push(`${page.url()}: ${error.message}`))
  page.on('console', (message) => { if (message.type() === 'error') troubles.push(`${page.url()}: ${message.text()}`) })
  await page.goto(url)
  return page
}

const browser = await chromiumForTest(t)
const redis = await withServer(t, startRedis)
if (browser && redis) {
  await t.test('three windows at once, two server processes on one Redis', async (t) => {
    const env = { REDIS_URL: redis.url }
    const [one, two] = await Promise.all([startDemo(t, 'pizza', env), startDemo(t, 'pizza', env)])

    const order = await openWindow(t, browser, one)
    await order.getByText('Diavola').click()
    await order.getByLabel('Your name').fill('Ada')
    await checkPage(t, order, 'order-wide')
    await order.getByRole('button', { name: 'Order' }).click()
    await order.getByRole('heading', { name: 'The kitchen has your order' }).waitFor()

    // The customer's page is served by the other process, and a friend follows on a phone.
    const address = new URL(order.url())
    const customer = await openWindow(t, browser, two + address.pathname + address.hash)
    const friend = await openWindow(t, browser, one + address.pathname + address.hash, phone)
    const kitchen = await openWindow(t, browser, one + '/kitchen.html')
    const driver = await openWindow(t, browser, one + '/driver.html')
    await customer.getByText('about 24 minutes').waitFor()

    const number = (await customer.locator('#number').textContent() ?? '').replace('Order ', '')
    await kitchen.getByRole('button', { name: `Order ${number} of Ada: Into the oven` }).click()
    for (const page of [order, customer, friend]) await page.getByRole('heading', { name: 'Your pizza is in the oven' }).waitFor()
    await checkPage(t, kitchen, 'kitchen-wide')
    await checkPage(t, friend, 'track-phone')
    await kitchen.getByRole('button', { name: `Order ${number} of Ada: Packed` }).click()
    await customer.getByRole('heading', { name: 'Packed, and waiting for a driver' }).waitFor()

    await checkPage(t, driver, 'driver-begin')
    await driver.getByLabel('Your name').fill('Bob')
    await driver.getByRole('button', { name: 'Begin my shift' }).click()
    await driver.getByRole('button', { name: `Take order ${number}` }).click()
    await customer.getByRole('heading', { name: 'Your pizza is on its way' }).waitFor()
    const before = await customer.locator('.scooter').getAttribute('style')
    for (let i = 0; i < 4; i++) await driver.getByRole('button', { name: 'Drive on' }).click()
    for (const page of [customer, friend]) {
      await page.getByText('Bob is 40 % of the way to you.').waitFor()
      await page.getByText('about 8 minutes').waitFor()
    }
    t.not(await customer.locator('.scooter').getAttribute('style'), before, 'the scooter has moved')
    await checkPage(t, customer, 'track-wide')
    await checkPage(t, driver, 'driver-wide')
    await driver.getByRole('slider').fill('90')
    await friend.getByText('Bob is 90 % of the way to you.').waitFor()

    await driver.getByRole('button', { name: `Order ${number} is delivered` }).click()
    for (const page of [order, customer, friend]) await page.getByRole('heading', { name: 'Delivered. Enjoy your pizza!' }).waitFor()
    await driver.getByText('One pizza delivered so far.').waitFor()
    await kitchen.locator('.ticket').waitFor({ state: 'detached' })
    await checkPage(t, friend, 'delivered-phone')
    await checkPage(t, customer, 'delivered-wide')
    await driver.reload()
    await driver.getByText(/Diavola for Ada · delivered at/).waitFor()
    await driver.getByRole('button', { name: 'End my shift' }).click()
    await driver.getByRole('button', { name: 'Begin my shift' }).waitFor()
    t.same(troubles, [], 'nothing went wrong in any page')
  })

  await t.test('on a phone, by keyboard, and with an address that is not whole', async (t) => {
    const url = await startDemo(t, 'pizza', { HOST: '0.0.0.0' })
    const page = await openWindow(t, browser, url, { ...phone, colorScheme: 'dark' })
    await checkPage(t, page, 'order-phone-dark')
    await page.getByRole('radio', { name: /Margherita/ }).focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Tab')
    await page.keyboard.type('Eve')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'The kitchen has your order' }).waitFor()
    t.equal(await page.locator('#pizza').textContent(), 'Funghi')
    if (Object.values(networkInterfaces()).flat().some((found) => found?.family === 'IPv4' && !found.internal)) await page.getByRole('img', { name: 'address as a QR code' }).waitFor()
    await checkPage(t, page, 'track-phone-dark')
    for (const path of ['/kitchen.html', '/driver.html']) {
      await page.goto(url + path)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await checkPage(t, page, `${path.slice(1, -5)}-phone-dark`)
    }
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const lost = await context.newPage()
    await lost.goto(`${url}/track.html#nothing`)
    await lost.getByRole('heading', { name: 'There is no such order' }).waitFor()
    t.same(troubles, [], 'nothing went wrong in any page')
  })
}
