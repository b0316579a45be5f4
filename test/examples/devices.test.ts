import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { buildApp } from '../../examples/devices/main.js'
import { deviceName } from '../../examples/devices/device-name.js'
import { checkPage, desk, phone } from '../support/page-check.js'
import { chromiumForTest } from '../support/servers/require.js'

const password = 'correct horse'
const iPhone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1'

interface Me { name: string | null, role: string, devices: Array<{ id: string, label: string, isThis: boolean }> }

/** Somebody who calls the routes, with a cookie of their own. */
class Caller {
  #token = ''
  readonly #app: FastifyInstance

  constructor (app: FastifyInstance) {
    this.#app = app
  }

  async send (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, payload?: object) {
    const reply = await this.#app.inject({ method, url, cookies: { session: this.#token }, ...payload && { payload } })
    this.#token = reply.cookies.find(({ name }) => name === 'session')?.value ?? this.#token
    return reply
  }

  async logIn (name: string, password: string): Promise<number> {
    return (await this.send('POST', '/api/login', { name, password })).statusCode
  }

  async me (): Promise<Me> {
    return (await this.send('GET', '/api/me')).json()
  }
}

async function openApp (t: Test, fresh?: number): Promise<FastifyInstance> {
  const app = await buildApp({ fresh })
  t.teardown(() => app.close())
  return app
}

t.test('an id of somebody else\'s device ends nothing', async (t) => {
  const app = await openApp(t)
  const [ada, bob] = [new Caller(app), new Caller(app)]
  for (const [visitor, name] of [[ada, 'Ada'], [bob, 'Bob']] as const) t.equal((await visitor.send('POST', '/api/accounts', { name, password })).statusCode, 204)
  const [device] = (await ada.me()).devices
  t.strictSame((await bob.send('DELETE', `/api/devices/${device?.id}`)).json(), { ended: false })
  t.equal((await ada.me()).name, 'Ada')
})

t.test('who is not logged in gets nowhere, and who is a reader pins nothing', async (t) => {
  const app = await openApp(t)
  const ada = new Caller(app)
  t.strictSame(await ada.me(), { name: null })
  for (const [method, url, payload] of [['GET', '/api/events'], ['DELETE', '/api/devices'], ['PUT', '/api/password', { password }], ['POST', '/api/notes', { text: 'here' }]] as const) {
    t.match((await ada.send(method, url, payload)).json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED' })
  }
  await ada.send('POST', '/api/accounts', { name: 'Ada', password })
  t.equal((await ada.send('POST', '/api/accounts', { name: 'ada', password })).json<{ code: string }>().code, 'ROOM_NAME_TAKEN')
  await ada.send('PUT', '/api/role', { role: 'reader' })
  t.match((await ada.send('POST', '/api/notes', { text: 'here' })).json(), { statusCode: 403, code: 'ROOM_NOT_EDITOR' })
  for (const [name, wrong] of [['Ada', 'wrong'], ['Nobody', password]] as const) {
    t.equal(await new Caller(app).logIn(name, wrong), 401)
  }
})

t.test('devices are named by what they say of themselves', async (t) => {
  t.equal(deviceName(iPhone), 'Safari on iPhone')
  t.equal(deviceName('Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0'), 'Firefox on Linux')
  t.equal(deviceName('Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0'), 'Edge on Windows')
  t.equal(deviceName('curl/8.0'), 'curl')
  t.equal(deviceName(undefined), 'A browser')
})

t.test('the page', async (t) => {
  const browser = await chromiumForTest(t)
  if (!browser) return

  await t.test('two devices see each other, and what one does the other knows at once', async (t) => {
    const app = await openApp(t)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const ada = await Device.open(t, browser, url, desk)
    await checkPage(t, ada.page, 'door desk')
    await ada.signUp('Ada')
    const mobile = await Device.open(t, browser, url, { ...phone, userAgent: iPhone, colorScheme: 'dark' })
    await mobile.logIn('ada', 'not this', { remember: true })
    await mobile.sees('The name or the password is wrong.')
    await checkPage(t, mobile.page, 'door phone dark')
    await mobile.logIn('ada', password)
    await mobile.sees('Welcome, Ada.')
    t.ok((await ada.cookie())?.expires === -1, 'a cookie that ends with the browser')
    t.ok(((await mobile.cookie())?.expires ?? 0) > Date.now() / 1000 + 29 * 86_400, 'one that is kept')
    await ada.lists('Chrome on Linux This device', 'Safari on iPhone')
    await mobile.lists('Safari on iPhone This device', 'Chrome on Linux')

    await ada.page.getByLabel('Pin a note').fill('The lamps are repaired.')
    await ada.click('Pin')
    await mobile.sees('The lamps are repaired.')
    await checkPage(t, ada.page, 'room desk')
    await checkPage(t, mobile.page, 'room phone dark')
    await ada.click('Take my editor’s role away')
    await mobile.sees('You may read it.')
    await checkPage(t, mobile.page, 'room reader phone dark')
    await mobile.click('Give me the editor’s role')
    await ada.page.getByLabel('Pin a note').waitFor()

    await ada.click('Log out Safari on iPhone')
    await mobile.sees('This device was logged out, from another one')
    await ada.lists('Chrome on Linux This device')
    await mobile.logIn('Ada', password)
    await mobile.click('Log out the others')
    await ada.sees('This device was logged out, from another one')
    await checkPage(t, ada.page, 'gone desk')
    await mobile.click('Log out')
    await mobile.page.getByRole('heading', { name: 'New here?' }).waitFor()
    while (await mobile.cookie() !== undefined) await delay(20) // the page may know before the reply is there
    t.strictSame([...ada.troubles, ...mobile.troubles.slice(1)], [], 'nothing went wrong but the wrong password')
  })

  await t.test('a fourth device ends the one that was used least recently', async (t) => {
    const app = await openApp(t)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const first = await Device.open(t, browser, url, desk)
    await first.signUp('Ada')
    const [second, third, fourth] = [new Caller(app), new Caller(app), new Caller(app)]
    for (const visitor of [second, third]) await visitor.logIn('Ada', password)
    await first.page.getByText('3 of 3.').waitFor()
    await fourth.logIn('Ada', password)
    await first.sees('This device was logged out: it was the one used least recently')
    t.equal((await fourth.me()).devices.length, 3)
  })

  await t.test('a new password takes a fresh login, and logs the others out', async (t) => {
    const app = await openApp(t, 3)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const ada = await Device.open(t, browser, url, desk)
    await ada.signUp('Ada')
    const other = new Caller(app)
    await other.logIn('Ada', password)
    await ada.page.getByLabel('Your password').waitFor()
    await checkPage(t, ada.page, 'room not fresh desk')
    t.match(await (await ada.page.context().request.put(`${url}/api/password`, { data: { password: 'battery staple' } })).json(), { code: 'FST_SESSION_NOT_FRESH' })
    await ada.page.getByLabel('Your password').fill('not this')
    await ada.click('Log in again')
    await ada.sees('That is not your password.')
    await ada.page.getByLabel('Your password').fill(password)
    await ada.click('Log in again')
    await ada.page.getByLabel('A new password').fill('battery staple')
    await ada.click('Change it')
    await ada.page.locator('#said', { hasText: 'The password is changed' }).waitFor()
    await ada.lists('Chrome on Linux This device')
    t.strictSame(await other.me(), { name: null })
    t.equal(await other.logIn('Ada', password), 401)
    t.equal(await other.logIn('Ada', 'battery staple'), 204)
  })
})

/** A browser of its own. */
class Device {
  readonly troubles: string[] = []
  readonly page: Page

  private constructor (page: Page) {
    this.page = page
    page.on('pageerror', (error) => this.troubles.push(error.message))
    page.on('console', (message) => { if (message.type() === 'error') this.troubles.push(message.text()) })
  }

  static async open (t: Test, browser: Browser, url: string, options: BrowserContextOptions): Promise<Device> {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
    t.teardown(() => context.close())
    const device = new Device(await context.newPage())
    await device.page.goto(url)
    return device
  }

  async signUp (name: string): Promise<void> {
    const form = this.page.locator('#signup')
    await form.getByLabel('A name').fill(name)
    await form.getByLabel('A password').fill(password)
    await form.getByRole('button').click()
    await this.sees(`Welcome, ${name}.`)
  }

  async logIn (name: string, password: string, { remember = false } = {}): Promise<void> {
    const form = this.page.locator('#login')
    await form.getByLabel('Name').fill(name)
    await form.getByLabel('Password').fill(password)
    if (remember) await form.getByLabel('Remember me').check()
    await form.getByRole('button').click()
  }

  async click (name: string): Promise<void> {
    await this.page.getByRole('button', { name, exact: true }).click()
  }

  async sees (text: string): Promise<void> {
    await this.page.getByText(text).first().waitFor({ timeout: 10_000 })
  }

  /** Waits until the list is this. */
  async lists (...devices: string[]): Promise<void> {
    await this.page.waitForFunction((wanted) =>
      JSON.stringify([...document.querySelectorAll('.device h3')].map(({ textContent }) => textContent)) === JSON.stringify(wanted), devices, { timeout: 10_000 })
  }

  async cookie () {
    return (await this.page.context().cookies()).find(({ name }) => name === 'session')
  }
}
