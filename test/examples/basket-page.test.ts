import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { memoryStore, redisStore, tokenSessions } from 'fastify-request-session'
import { Redis } from 'ioredis'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { buildApp, type ShopOptions } from '../../examples/basket/main.js'
import { emitted } from '../support/emitted.js'
import { checkPage, desk, phone } from '../support/page-check.js'
import { startRedis } from '../support/servers/redis.js'
import { chromiumForTest, withServer } from '../support/servers/require.js'

/** Seconds: long enough to be seen running out, short enough to be waited for. */
const short = 7
const lifetimes = [short, 30, 1800] as const

async function serve (t: Test, options: ShopOptions): Promise<string> {
  const app = await buildApp(options)
  t.teardown(() => app.close())
  return app.listen({ port: 0, host: '127.0.0.1' })
}

/** A browser of its own, at the shop; whatever goes wrong in the page fails the test, unless it is expected to. */
async function visit (t: Test, browser: Browser, url: string, options?: BrowserContextOptions): Promise<Shopper> {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  return new Shopper(await context.newPage()).open(t, url)
}

class Shopper {
  readonly page: Page
  readonly troubles: string[] = []

  constructor (page: Page) {
    this.page = page
    page.on('pageerror', (error) => this.troubles.push(error.message))
    page.on('console', (message) => { if (message.type() === 'error') this.troubles.push(message.text()) })
  }

  async open (t: Test, url: string): Promise<this> {
    await this.page.goto(url)
    await this.idle()
    t.strictSame(this.troubles, [], 'the page opens without an error')
    return this
  }

  /** Once the page has asked for its products and its basket. */
  async idle (): Promise<void> {
    await this.page.locator('#lifetimes input:checked').waitFor({ state: 'attached' })
  }

  async reload (): Promise<void> {
    await this.page.reload()
    await this.idle()
  }

  async add (name: string): Promise<void> {
    await this.click(`Add ${name} to the basket`)
  }

  /** Presses a button, and waits for the answer that it brings. */
  async click (name: string): Promise<void> {
    const answer = this.page.waitForResponse((response) => response.request().method() !== 'GET')
    await this.page.getByRole('button', { name, exact: true }).click()
    await (await answer).finished()
  }

  async choose (lifetime: string): Promise<void> {
    const answer = this.page.waitForResponse((response) => response.request().method() === 'PUT')
    await this.page.locator('#lifetimes label', { hasText: lifetime }).first().click()
    await (await answer).finished()
  }

  /** Waits until the basket is this: `2 Figs €10.80`. */
  async sees (...lines: string[]): Promise<void> {
    await this.page.waitForFunction((wanted) => {
      const seen = [...document.querySelectorAll('#lines .line')].map((line) =>
        ['output', '.line-name', '.line-sum'].map((part) => line.querySelector(part)?.textContent).join(' '))
      return JSON.stringify(seen) === JSON.stringify(wanted)
    }, lines, { timeout: 5000 })
  }

  async shows (selector: string, text?: string): Promise<void> {
    await this.page.locator(selector, text === undefined ? {} : { hasText: text }).waitFor({ timeout: 10_000 })
  }

  async token (): Promise<string | undefined> {
    return (await this.page.context().cookies()).find(({ name }) => name === 'session')?.value
  }
}

t.test('the page of the basket', async (t) => {
  const browser = await chromiumForTest(t)
  if (!browser) return

  t.test('on the embedded store', async (t) => {
    const url = await serve(t, { lifetimes })

    t.test('two browsers have two baskets, and each keeps its own over a reload', async (t) => {
      const [ann, bob] = [await visit(t, browser, url), await visit(t, browser, url)]
      await ann.shows('#empty', 'There is nothing in it yet.')
      t.equal(await ann.token(), undefined, 'who only looks gets no cookie')
      await ann.add('Figs')
      await ann.add('Figs')
      await bob.add('Coffee')
      await ann.sees('2 Figs €10.80')
      await bob.sees('1 Coffee €9.20')
      await ann.reload()
      await ann.sees('2 Figs €10.80')
      await ann.shows('#total', '€10.80')
      t.not(await ann.token(), await bob.token())
      t.equal((await ann.page.context().cookies())[0]?.httpOnly, true)
      t.strictSame([...ann.troubles, ...bob.troubles], [])
    })

    t.test('quantities change, and the pressed button keeps the focus', async (t) => {
      const shopper = await visit(t, browser, url)
      await shopper.add('Lemons')
      await shopper.add('Figs')
      await shopper.page.getByRole('button', { name: 'One more: Lemons' }).focus()
      await shopper.page.keyboard.press('Enter')
      await shopper.page.keyboard.press('Space')
      await shopper.sees('3 Lemons €8.70', '1 Figs €5.40')
      t.equal(await shopper.page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'One more: Lemons')
      await shopper.click('One less: Figs')
      await shopper.sees('3 Lemons €8.70')
      await shopper.click('Remove Lemons')
      await shopper.shows('#empty', 'There is nothing in it at the moment.')
      t.strictSame(shopper.troubles, [])
    })

    t.test('a checkout renews the token and shows a receipt; the end of the session clears both', async (t) => {
      const shopper = await visit(t, browser, url)
      await shopper.add('Olive oil')
      await shopper.add('Figs')
      const before = await shopper.token()
      await shopper.click('Check out')
      await shopper.shows('#receipt', '€18.90')
      const after = await shopper.token()
      t.type(after, 'string')
      t.not(after, before)
      t.equal(await shopper.page.evaluate(() => document.activeElement?.id), 'receipt', 'the receipt has the focus')
      const number = await shopper.page.locator('#receipt-number').textContent()
      await shopper.reload()
      await shopper.shows('#receipt-number', number ?? '')
      await shopper.click('Done: end my session')
      await shopper.shows('#empty', 'There is nothing in it yet.')
      t.equal(await shopper.token(), undefined)
      await shopper.reload()
      await shopper.shows('#empty', 'There is nothing in it yet.')
      t.strictSame(shopper.troubles, [])
    })

    t.test('a basket that is not used is seen to expire; a use begins its time anew', async (t) => {
      const shopper = await visit(t, browser, url)
      await shopper.add('Figs')
      await shopper.choose(`${short} s`)
      await shopper.shows('#clock.soon')
      await shopper.add('Figs')
      await shopper.shows('#clock:not(.soon)')
      await shopper.shows('#expired', `It was not used for ${short} seconds`)
      await shopper.shows('#said:has-text("Your basket has expired.")')
      await shopper.page.locator('#lines .line').waitFor({ state: 'detached' })
      t.notOk(await shopper.page.locator('#clock').isVisible())
      await shopper.add('Coffee')
      await shopper.sees('1 Coffee €9.20')
      t.notOk(await shopper.page.locator('#expired').isVisible())
      t.strictSame(shopper.troubles, [])
    })

    t.test('a basket whose time seems to be up is looked at before it is given up', async (t) => {
      const shopper = await visit(t, browser, url)
      await shopper.page.clock.install()
      await shopper.add('Figs')
      const look = shopper.page.waitForResponse((response) => response.url().endsWith('/api/basket/look'))
      await shopper.page.clock.fastForward('30:01')
      await look
      await shopper.shows('#left', '30:00')
      await shopper.sees('1 Figs €5.40')
      t.notOk(await shopper.page.locator('#expired').isVisible())
    })

    t.test('what another tab has paid for in the meantime is not paid for twice', async (t) => {
      const shopper = await visit(t, browser, url)
      await shopper.page.route('**/api/basket/events', (route) => route.abort()) // it does not hear of the other tab
      await shopper.add('Figs')
      await shopper.page.request.post(`${url}/api/basket/lines`, { data: { product: 'figs' } })
      await shopper.click('Check out')
      await shopper.shows('#problem', 'The basket has changed meanwhile')
      await shopper.sees('2 Figs €10.80')
      await shopper.click('Check out')
      await shopper.shows('#receipt', '€10.80')
    })

    t.test('two windows of one browser follow each other, from where the basket begins to its end', async (t) => {
      const left = await visit(t, browser, url, desk)
      const right = await new Shopper(await left.page.context().newPage()).open(t, url)
      await left.add('Figs')
      await right.sees('1 Figs €5.40')
      await right.add('Coffee')
      await left.sees('1 Figs €5.40', '1 Coffee €9.20')
      await left.click('Check out')
      await right.shows('#receipt', '€14.60')
      await right.click('Done: end my session')
      await left.shows('#expired', 'Your basket was ended')
      await right.add('Lemons')
      await left.sees('1 Lemons €2.90')
      t.notOk(await left.page.locator('#expired').isVisible())
      t.strictSame([...left.troubles, ...right.troubles], [])
    })

    t.test('two requests that add at the same moment both win, and the page says so', async (t) => {
      const shopper = await visit(t, browser, url, desk)
      const race = async (text: string): Promise<void> => {
        await shopper.page.getByRole('button', { name: 'Add two at the same moment' }).click()
        await shopper.shows('#race-text', text)
      }
      for (const [was, is] of [[0, 2], [2, 4], [4, 6], [6, 8]]) await race(`there were ${was}, now there are ${is}. Neither overwrote the other`)
      await race('there were 0, now there are 2.')
      t.equal(await shopper.page.locator('#lines .line').count(), 2)
      await checkPage(t, shopper.page, 'basket race wide')
      t.strictSame(shopper.troubles, [])
    })

    t.test('a basket that was lost with the memory of the shop is told apart from one that has expired', async (t) => {
      const app = await buildApp({ lifetimes })
      const shopper = await visit(t, browser, await app.listen({ port: 0, host: '127.0.0.1' }), phone)
      await shopper.add('Figs')
      const { port } = app.server.address() as AddressInfo
      await app.close()
      const again = await buildApp({ lifetimes })
      t.teardown(() => again.close())
      await again.listen({ port, host: '127.0.0.1' })
      await shopper.shows('#expired', 'The shop was restarted and kept its baskets in memory.')
      await checkPage(t, shopper.page, 'basket lost phone')
      await shopper.add('Coffee')
      await shopper.sees('1 Coffee €9.20')
      t.notOk(await shopper.page.locator('#expired').isVisible())
    })

    t.test('a basket that is ended elsewhere is seen to end at once', async (t) => {
      const store = memoryStore()
      const shopper = await visit(t, browser, await serve(t, { store, lifetimes }))
      const following = shopper.page.waitForResponse((response) => response.url().endsWith('/api/basket/events'))
      await shopper.add('Figs')
      await following
      await tokenSessions({ store }).endAll()
      await shopper.shows('#expired', 'Your basket was ended')
      await shopper.add('Coffee')
      await shopper.sees('1 Coffee €9.20')
      await tokenSessions({ store }).endAll()
      await shopper.shows('#expired', 'Your basket was ended')
      t.strictSame(shopper.troubles, [])
    })

    for (const [width, height] of [[1280, 800], [861, 900], [390, 844], [320, 640]] as const) {
      t.test(`nothing sticks out of a window of ${width} × ${height}`, async (t) => {
        const shopper = await visit(t, browser, url, { viewport: { width, height } })
        await checkPage(t, shopper.page, `basket empty ${width}`)
        for (const name of ['Lemons', 'Sourdough', 'Olive oil', 'Coffee', 'Tomatoes', 'Figs']) await shopper.add(name)
        await shopper.shows('#total', '€39.40')
        await checkPage(t, shopper.page, `basket full ${width}`)
        await shopper.click('Check out')
        await shopper.shows('#receipt')
        await checkPage(t, shopper.page, `basket paid ${width}`)
      })
    }
  })

  t.test('on Redis: two servers have one basket, and it is there again after Redis was away', async (t) => {
    const server = await withServer(t, () => startRedis({ persistent: true }))
    if (!server) return
    const redis = new Redis(server.url)
    redis.on('error', () => {})
    t.teardown(() => redis.disconnect())
    const store = redisStore(redis)
    const [url, otherUrl] = [await serve(t, { store, lifetimes }), await serve(t, { store, lifetimes })]

    const shopper = await visit(t, browser, url)
    await shopper.add('Figs')
    await shopper.page.goto(otherUrl)
    await shopper.sees('1 Figs €5.40')
    await shopper.add('Coffee')
    await shopper.page.goto(url)
    await shopper.sees('1 Figs €5.40', '1 Coffee €9.20')
    const token = await shopper.token()

    await server.kill()
    await shopper.add('Lemons')
    await shopper.shows('#problem', 'The shop cannot get at the baskets right now.')
    await shopper.sees('1 Figs €5.40', '1 Coffee €9.20')
    t.equal(await shopper.token(), token, 'the cookie is as it was')

    const ready = emitted(redis, 'ready')
    await server.restart()
    await ready
    await shopper.add('Lemons')
    await shopper.sees('1 Figs €5.40', '1 Coffee €9.20', '1 Lemons €2.90')
    await shopper.page.locator('#problem').waitFor({ state: 'hidden' })

    await shopper.choose(`${short} s`)
    await shopper.shows('#expired')
    while ((await redis.keys('*')).length > 0) await delay(20) // Redis forgets it too
  })
})
