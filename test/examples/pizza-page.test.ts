import { networkInterfaces } from 'node:os'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startDemo } from '../support/demo.js'
import { checkPage, desk, phone } from '../support/page-check.js'
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
  page.on('console', (message) => { if (message.type() === 'error' && !/status of (404|503)/.test(message.text())) troubles.push(`${page.url()}: ${message.text()}`) })
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
    const customer = await openWindow(t, browser, two + address.pathname + address.hash, desk)
    const friend = await openWindow(t, browser, one + address.pathname + address.hash, phone)
    const kitchen = await openWindow(t, browser, one + '/kitchen.html', desk)
    const driver = await openWindow(t, browser, one + '/driver.html', desk)
    await customer.getByText('about 24 minutes').waitFor()
    const badges = await Promise.all([order, customer].map((page) => page.getByText(/^Answered by process \d+ on port \d+$/).textContent()))
    t.match(badges[0], `port ${new URL(one).port}`)
    t.match(badges[1], `port ${new URL(two).port}`)
    t.not(badges[0]?.split(' on ')[0], badges[1]?.split(' on ')[0], 'two processes')

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
    for (const fact of ['#time', '#driver', '#pizza']) {
      const { y, height } = await customer.locator(fact).boundingBox() ?? { y: Infinity, height: 0 }
      t.ok(y + height < 750, `${fact} is in sight at 1280 × 800`)
    }
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
    await customer.reload()
    await customer.getByRole('heading', { name: 'There is no such order' }).waitFor()
    for (const part of ['#map', '#stages', '#copy']) t.notOk(await customer.locator(part).isVisible(), `${part} of an order that is over`)
    await checkPage(t, customer, 'over-wide')
    await driver.reload()
    await driver.getByText(/Diavola for Ada · delivered at/).waitFor()
    await driver.getByRole('button', { name: 'End my shift' }).click()
    await driver.getByRole('button', { name: 'Begin my shift' }).waitFor()
    t.same(troubles, [], 'nothing went wrong in any page')
  })

  await t.test('the first page opens the other two, which say what they wait for', async (t) => {
    const page = await openWindow(t, browser, await startDemo(t, 'pizza', {}), desk)
    const open = async (name: string): Promise<Page> => {
      const popup = page.waitForEvent('popup')
      await page.getByRole('link', { name }).click()
      return popup
    }
    const kitchen = await open('Open the kitchen')
    for (const text of ['Waits for customers', 'Waits for you', 'Waits for a pizza']) await kitchen.getByText(text).waitFor()
    const driver = await open('Open the driver’s page')
    await driver.getByLabel('Your name').fill('Bob')
    await driver.getByRole('button', { name: 'Begin my shift' }).click()
    for (const text of ['Waits for the kitchen', 'Orders that you take', 'Nothing on the scooter']) await driver.getByText(text).waitFor()
    await checkPage(t, kitchen, 'kitchen-empty-wide')
    await checkPage(t, driver, 'driver-empty-wide')
    await page.getByLabel('Your name').fill('Ada')
    await page.getByRole('button', { name: 'Order' }).click()
    await kitchen.getByText('for Ada').waitFor()
    t.notOk(await kitchen.getByText('Waits for customers').isVisible())
  })

  await t.test('a scooter drives by itself, until it is at the door or the slider is taken', async (t) => {
    const url = await startDemo(t, 'pizza', {})
    const order = await openWindow(t, browser, url)
    await order.getByLabel('Your name').fill('Ada')
    await order.getByRole('button', { name: 'Order' }).click()
    const driver = await openWindow(t, browser, url + '/driver.html', desk)
    await driver.clock.install()
    await driver.getByLabel('Your name').fill('Bob')
    await driver.getByRole('button', { name: 'Begin my shift' }).click()
    for (const step of ['bake', 'ready']) await fetch(`${url}/api/orders/1/${step}`, { method: 'POST' })
    await driver.getByRole('button', { name: 'Take order 1' }).click()
    const byItself = driver.getByRole('button', { name: 'Drive by itself' })
    await byItself.click()
    await driver.clock.runFor(5000)
    await order.getByText('Bob is 20 % of the way to you.').waitFor()
    await driver.getByRole('slider').fill('50')
    t.equal(await byItself.getAttribute('aria-pressed'), 'false')
    await driver.clock.runFor(5000)
    await order.getByText('Bob is 50 % of the way to you.').waitFor()
    await byItself.click()
    await checkPage(t, driver, 'driver-by-itself-wide')
    await driver.clock.runFor(20_000)
    await order.getByText('Bob is 100 % of the way to you.').waitFor()
    t.equal(await byItself.getAttribute('aria-pressed'), 'false', 'it has stopped')
  })

  await t.test('while Redis does not answer the pages say so in the pizzeria’s words, and go on by themselves', async (t) => {
    const url = await startDemo(t, 'pizza', { REDIS_URL: redis.url })
    const order = await openWindow(t, browser, url)
    await order.getByLabel('Your name').fill('Zoe')
    await order.getByRole('button', { name: 'Order' }).click()
    await order.getByRole('heading', { name: 'The kitchen has your order' }).waitFor()
    const number = (await order.locator('#number').textContent() ?? '').replace('Order ', '')
    const kitchen = await openWindow(t, browser, url + '/kitchen.html')
    const bake = kitchen.getByRole('button', { name: `Order ${number} of Zoe: Into the oven` })
    await bake.waitFor()
    redis.pause()
    t.teardown(() => redis.resume())
    await bake.click()
    const words = kitchen.getByText('The pizzeria cannot get at its orders right now.')
    await words.waitFor()
    const waiting = order.getByText('The pizzeria does not answer right now.')
    await order.reload()
    await waiting.waitFor()
    t.notOk(await order.getByText('There is no such order').isVisible())
    const driver = await openWindow(t, browser, url + '/driver.html')
    await checkPage(t, kitchen, 'kitchen-outage')
    redis.resume()
    await words.waitFor({ state: 'hidden' })
    await waiting.waitFor({ state: 'hidden' })
    await order.getByRole('heading', { name: /The kitchen has|in the oven/ }).waitFor()
    await driver.getByRole('button', { name: 'Begin my shift' }).waitFor()
    t.same(troubles, [], 'nothing else went wrong')
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
    const lost = await openWindow(t, browser, `${url}/track.html#nothing`, phone)
    await lost.getByRole('heading', { name: 'There is no such order' }).waitFor()
    t.same(troubles, [], 'nothing went wrong in any page')
  })
}
