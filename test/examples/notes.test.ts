import { chmod } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { buildApp, prepare } from '../../examples/notes/main.js'
import type { AuthorView, NoteView } from '../../examples/notes/notes.js'
import { runDemo } from '../support/demo.js'
import { checkPage, desk, phone } from '../support/page-check.js'
import { createRavenDatabase } from '../support/servers/ravendb-database.js'
import { openRavenDB } from '../support/servers/ravendb.js'
import { chromiumForTest, withServer } from '../support/servers/require.js'

t.test('the notes', async (t) => {
  const server = await withServer(t, openRavenDB)
  if (!server) return

  async function openApp (t: Test): Promise<FastifyInstance> {
    const { store, drop } = await createRavenDatabase((server as { url: string }).url)
    t.teardown(drop)
    const app = await buildApp(store)
    t.teardown(() => app.close())
    await prepare(store)
    return app
  }

  await t.test('its routes', async (t) => {
    const app = await openApp(t)
    const authors = (await app.inject('/api/authors')).json<AuthorView[]>()
    const [ada, bea] = authors.map(({ id }) => id)
    t.match(authors, [{ name: 'Ada', email: 'ada@example.com' }, { name: 'Bea', email: 'bea@example.com' }])
    const [note] = (await app.inject('/api/notes')).json<NoteView[]>()
    if (note === undefined) throw new Error('there is no note')

    async function save (change: Partial<NoteView>) {
      const { title, text, version } = note as NoteView
      return app.inject({ method: 'PUT', url: `/api/notes/${(note as NoteView).id}`, body: { title, text, version, author: ada, ...change } })
    }

    await t.test('two save what they wrote over the same version: one is shown the other\'s', async (t) => {
      const replies = await Promise.all([save({ text: 'by Ada', author: ada ?? '' }), save({ text: 'by Bea', author: bea ?? '' })])
      const won = replies.find(({ statusCode }) => statusCode === 200)?.json<NoteView>()
      const lost = replies.find(({ statusCode }) => statusCode === 409)?.json<{ code: string, theirs: NoteView }>()
      t.equal(lost?.code, 'FST_SESSION_CONFLICT')
      t.same(lost?.theirs, won)
      t.same((await app.inject(`/api/notes/${note.id}`)).json(), won)
      t.equal((await save({ text: 'settled', version: lost?.theirs.version ?? '' })).statusCode, 200, 'over a version that was seen')
    })

    await t.test('an e-mail address is taken once', async (t) => {
      const signUps = await Promise.all(['Cid', 'Cora'].map((name) =>
        app.inject({ method: 'POST', url: '/api/authors', body: { name, email: 'C@example.com' } })))
      t.same(signUps.map(({ statusCode }) => statusCode).sort(), [201, 409], 'of two at the same moment one gets it')
      const again = await app.inject({ method: 'POST', url: '/api/authors', body: { name: 'Cy', email: 'c@Example.com' } })
      for (const reply of [...signUps.filter(({ statusCode }) => statusCode === 409), again]) {
        t.match(reply.json(), { statusCode: 409, code: 'NOTES_EMAIL_TAKEN', message: 'Somebody writes under c@example.com already.' })
      }
      const emails = (await app.inject('/api/authors')).json<AuthorView[]>().map(({ email }) => email)
      t.same(emails, ['ada@example.com', 'bea@example.com', 'c@example.com'])
    })

    await t.test('what does not fit is refused', async (t) => {
      t.equal((await save({ title: ' ' })).statusCode, 400)
      t.equal((await save({ version: '' })).statusCode, 400)
      t.equal((await save({ author: 'authors/00000000-0000-0000-0000-000000000000' })).statusCode, 422)
      t.equal((await app.inject('/api/notes/00000000-0000-0000-0000-000000000000')).statusCode, 404)
      t.equal((await app.inject({ method: 'POST', url: '/api/authors', body: { name: 'Dee', email: 'none' } })).statusCode, 400)
    })
  })

  await t.test('its page', async (t) => {
    const browser = await chromiumForTest(t)
    if (!browser) return
    const app = await openApp(t)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })

    await t.test('a conflict, settled in each of three ways', async (t) => {
      const writers = await open(t, browser, url)
      await writers.left.write('Ada was here first')
      await writers.right.write('Bea was here too')
      await writers.left.press('Save')
      await writers.left.isIn('clean')
      await writers.right.press('Save')
      await writers.right.isIn('conflict')
      t.match(await writers.right.conflict(), {
        title: 'Ada saved this note while you wrote', mine: ['Bea was here too'], theirs: ['Ada was here first'], focus: true,
      })
      await writers.right.press('Put both together')
      await writers.right.isIn('changed')
      t.equal(await writers.right.text(), 'Bea was here too\nAda was here first')
      await writers.right.press('Save')
      await writers.right.isIn('clean')

      await writers.left.write('Ada insists')
      await writers.left.press('Save')
      await writers.left.isIn('conflict')
      await writers.left.press('Save mine instead')
      await writers.left.isIn('clean')

      await writers.right.write('Bea gives in')
      await writers.right.press('Save')
      await writers.right.isIn('conflict')
      await writers.right.press('Take theirs')
      await writers.right.isIn('clean')
      t.equal(await writers.right.text(), 'Ada insists')
      t.same(writers.troubles, [], 'nothing else went wrong')
    })

    await t.test('"Try it" makes a conflict of the changes that the panes begin with; whose version is older is told', async (t) => {
      const writers = await open(t, browser, url, desk)
      const texts = await Promise.all([writers.left.text(), writers.right.text()])
      t.not(texts[0], texts[1], 'each has changed something else')
      await checkPage(t, writers.page, 'notes wide')
      const before = await writers.right.version()
      await writers.page.getByRole('button', { name: 'Try it' }).click()
      await writers.right.isIn('conflict')
      t.match(await writers.left.state(), /^Saved at \d\d:\d\d$/)
      await checkPage(t, writers.page, 'notes conflict wide')
      const saved = await writers.left.version()
      t.not(saved, before, 'the label changes with the version')
      await writers.right.press('Save mine instead')
      await writers.right.isIn('clean')
      t.not(await writers.right.version(), saved)
      await writers.left.says('An older version: load the stored one')
      await checkPage(t, writers.page, 'notes settled wide')
      await writers.left.press('Load the stored one')
      await writers.left.says('No changes here')
      t.equal(await writers.left.text(), texts[1])
      await writers.page.getByRole('button', { name: 'Try it' }).click()
      await writers.right.isIn('conflict')
      t.same(writers.troubles, [])
    })

    await t.test('both at the same moment: one of them is asked', async (t) => {
      const writers = await open(t, browser, url)
      await writers.left.write('left')
      await writers.right.write('right')
      await writers.page.getByRole('button', { name: 'Save both at the same moment' }).click()
      await writers.page.locator('.state[data-state=conflict]').waitFor()
      t.equal(await writers.page.locator('.state[data-state=clean]').count(), 1)
      await checkPage(t, writers.page, 'notes desk')
      t.same(writers.troubles, [])
    })

    await t.test('a new note, and a new author', async (t) => {
      const writers = await open(t, browser, url)
      await writers.page.getByLabel('A new one').fill('Shopping')
      await writers.page.getByRole('button', { name: 'Add' }).click()
      await writers.page.waitForFunction(() => [...document.querySelectorAll<HTMLInputElement>('.pane .title')].every(({ value }) => value === 'Shopping'))
      await writers.signUp('Dee', 'ada@example.com')
      await writers.page.locator('#sign-up-problem', { hasText: 'Somebody writes under ada@example.com already.' }).waitFor()
      await writers.signUp('<b>Dee</b>', 'dee@example.com')
      await writers.page.locator('#authors li', { hasText: '<b>Dee</b> dee@example.com' }).waitFor()
      t.same(writers.troubles, [])
    })

    await t.test('on a phone both panes are in one window', async (t) => {
      const { page } = await open(t, browser, url, phone)
      await checkPage(t, page, 'notes phone')
      const [top, bottom] = await Promise.all([page.locator('.pane').first().boundingBox(), page.locator('.pane').last().boundingBox()])
      t.ok((bottom?.y ?? Infinity) + (bottom?.height ?? 0) - (top?.y ?? 0) <= phone.viewport.height, `${JSON.stringify([top, bottom])}`)
      await page.getByRole('button', { name: 'Try it' }).click()
      await page.locator('.state[data-state=conflict]').waitFor()
      await checkPage(t, page, 'notes conflict phone')
    })

    await t.test('on a phone nothing is wider than the window', async (t) => {
      const writers = await open(t, browser, url, { viewport: { width: 360, height: 740 }, isMobile: true })
      await writers.left.write('a'.repeat(300))
      await writers.right.write(`b ${'c'.repeat(300)}`)
      await writers.left.press('Save')
      await writers.left.isIn('clean')
      await writers.right.press('Save')
      await writers.right.isIn('conflict')
      await checkPage(t, writers.page, 'notes phone')
    })
  })

  await t.test('the runner', async (t) => {
    await t.test('on the RavenDB of RAVENDB_URL', async (t) => {
      const demo = runDemo(t, ['notes'], { RAVENDB_URL: server.url })
      const line = await demo.line() ?? ''
      t.match(line, `notes on RavenDB at ${server.url}: http://127.0.0.1:`)
      t.match(await (await fetch(line.split(': ').at(-1) ?? '')).text(), '<title>Two pens, one note</title>')
      demo.signal('SIGTERM')
      t.match(await demo.over, { code: 0 })
    })
    await t.test('a RavenDB that is missing is offered, and fetched if that is wanted', async (t) => {
      // A dotnet that is never run, and a pip that gets nothing.
      const folder = t.testdir({ dotnet: '#!/bin/sh\n', pip3: '#!/bin/sh\nexit 1\n' })
      for (const program of ['dotnet', 'pip3']) await chmod(`${folder}/${program}`, 0o755)
      const env = { HOME: folder, DOTNET_ROOT: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}` }
      const offered = await runDemo(t, ['notes'], env).over
      t.match(offered, { code: 1, errors: /^RavenDB is not on this machine\. RAVENDB_FETCH=yes gets it \(241 MB, / })
      t.notMatch(offered.errors, 'getting RavenDB')
      const fetched = await runDemo(t, ['notes'], { ...env, RAVENDB_FETCH: 'yes' }).over
      t.match(fetched, { code: 1, errors: /getting RavenDB 7\.2\.7 \(241 MB[^]*pip could not get[^]*^The notes live in RavenDB\. RavenDB is missing: fetch-ravendb\.sh failed, see above\.$/m })
    })
    const wrong: Array<[NodeJS.ProcessEnv, RegExp]> = [
      [{ RAVENDB_URL: 'ravendb' }, /^RAVENDB_URL must be like http:\/\/host:8080; got "ravendb"\.$/m],
      [{ RAVENDB_URL: 'http://127.0.0.1:9' }, /^No RavenDB answers at http:\/\/127\.0\.0\.1:9: /],
      [{ RAVENDB_SERVER: '/nowhere' }, /^The notes live in RavenDB\. RavenDB \(looked in \/nowhere\) is missing: run .*fetch-ravendb\.sh/],
    ]
    for (const [env, said] of wrong) {
      await t.test(`says what is missing: ${JSON.stringify(env)}`, async (t) => {
        const { code, errors } = await runDemo(t, ['notes'], env).over
        t.match(errors, said)
        t.equal(errors.trim().split('\n').length, 1, 'in one line')
        t.equal(code, 1)
      })
    }
  })
})

async function open (t: Test, browser: Browser, url: string, options?: BrowserContextOptions): Promise<Writers> {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  const writers = new Writers(await context.newPage())
  await writers.page.goto(url)
  await writers.page.waitForSelector('body[data-ready]')
  return writers
}

class Writers {
  readonly page: Page
  readonly left: Writer
  readonly right: Writer
  readonly troubles: string[] = []

  constructor (page: Page) {
    this.page = page
    this.left = new Writer(page.locator('.pane').nth(0))
    this.right = new Writer(page.locator('.pane').nth(1))
    page.on('pageerror', (error) => this.troubles.push(error.message))
    // A browser says of each 409 that it failed to load.
    page.on('console', (message) => { if (message.type() === 'error' && !message.text().includes('409')) this.troubles.push(message.text()) })
  }

  async signUp (name: string, email: string): Promise<void> {
    await this.page.fill('#name', name)
    await this.page.fill('#email', email)
    await this.page.getByRole('button', { name: 'Sign up' }).click()
  }
}

class Writer {
  readonly #pane: Locator

  constructor (pane: Locator) {
    this.#pane = pane
  }

  async write (text: string): Promise<void> {
    await this.#pane.locator('textarea').fill(text)
  }

  async text (): Promise<string> {
    return this.#pane.locator('textarea').inputValue()
  }

  async press (name: string): Promise<void> {
    await this.#pane.getByRole('button', { name, exact: true }).click()
  }

  async state (): Promise<string | null> {
    return this.#pane.locator('.state').textContent()
  }

  async says (state: string): Promise<void> {
    await this.#pane.locator('.state', { hasText: state }).waitFor()
  }

  async version (): Promise<string | null> {
    return this.#pane.locator('.version').textContent()
  }

  async isIn (state: 'clean' | 'changed' | 'conflict'): Promise<void> {
    await this.#pane.locator(`.state[data-state=${state}]`).waitFor()
  }

  /** What the page shows of it: the heading, and what only one of the two has. */
  async conflict () {
    return {
      title: await this.#pane.locator('.conflict h3').textContent(),
      mine: await this.#pane.locator('.mine .own').allTextContents(),
      theirs: await this.#pane.locator('.theirs .own').allTextContents(),
      focus: await this.#pane.locator('.conflict').evaluate((element) => element === document.activeElement),
    }
  }
}
