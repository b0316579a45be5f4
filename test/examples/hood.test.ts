import type { Page } from 'playwright-core'
import t from 'tap'
import { buildApp as buildBasket } from '../../examples/basket/main.js'
import { buildApp as buildNotes, prepare as prepareNotes } from '../../examples/notes/main.js'
import type { AuthorView, NoteView } from '../../examples/notes/notes.js'
import { buildApp as buildPizza } from '../../examples/pizza/main.js'
import { openDrawer, stepsOf } from '../support/drawer.js'
import { checkPage, desk, phone } from '../support/page-check.js'
import { chromiumForTest, ravenDatabaseForTest } from '../support/servers/require.js'

t.test('token sessions: where from, which keys, how it ended, the cookie, and the lines of the route', async (t) => {
  const app = await buildBasket()
  t.teardown(() => app.close())
  const drawer = await openDrawer(t, app)
  const added = await app.inject({ method: 'POST', url: '/api/basket/lines', payload: { product: 'figs' } })
  const token = String(added.headers['set-cookie']).replace(/^\w+=|;.*/g, '')
  const cookies = { session: token }

  const first = await drawer.told('POST /api/basket/lines', 200)
  t.match(stepsOf(first), [/^opened request\.basket, a token session$/, /^created memory: session [\w-]{6}…: lines$/, /^committed request\.basket$/,
    /^replied Set-Cookie: session=…; Max-Age=1800; Path=\/; .*HttpOnly/, /^closed request\.basket, after \d+\.\d ms$/])
  t.match(first.sources, [{ file: 'basket/main.ts', text: /^app\.post<.*>\('\/api\/basket\/lines', \{\n[^]*\n {2}basket\.update\('lines'[^]*\n\}\)$/ }])

  await app.inject({ method: 'POST', url: '/api/basket/lines', payload: { product: 'figs' }, cookies })
  t.match(stepsOf(await drawer.told('POST /api/basket/lines', 200)).slice(0, 4), [/^read memory: session [\w-]{6}…: lines$/, /^opened/, /^written memory: .*: lines set$/, /^committed/])
  await app.inject({ url: '/api/shop', cookies })
  t.strictSame(stepsOf(await drawer.told('GET /api/shop', 200, 'replied')), ['replied no Set-Cookie'], 'a route that uses no session')
  await app.inject({ url: '/api/basket/look', cookies })
  const look = await drawer.told('GET /api/basket/look', 200)
  t.match(stepsOf(look).slice(2), [/^rolled back/, 'replied no Set-Cookie', /^closed/])
  t.match(look.sources[0]?.text, /^\/\/ A look that does not prolong/, 'with the comment before it')
  await app.inject({ method: 'POST', url: '/api/checkout', payload: { total: 1080 }, cookies })
  t.match(stepsOf(await drawer.told('POST /api/checkout', 200)).join('\n'), /written memory: new token, [\w-]{6}… becomes [\w-]{6}…: receipt set\n/)
  await app.inject({ method: 'DELETE', url: '/api/basket', cookies })
  await drawer.told('DELETE /api/basket', 409)
  await app.inject('/shared/base.css')

  t.notOk(drawer.entries().some(({ path }) => path.includes('hood') || path.includes('*')), 'only the routes of the example')
  t.notMatch(drawer.text, token, 'no token')
  t.notMatch(drawer.text, /"figs"|1080/, 'no value')
})

t.test('a manager\'s sessions count to the request that uses them, and a path hides its token', async (t) => {
  const app = await buildPizza()
  t.teardown(() => app.close())
  const drawer = await openDrawer(t, app)
  const { token, number } = (await app.inject({ method: 'POST', url: '/api/orders', payload: { pizza: 'funghi', customer: 'Ada' } })).json<{ token: string, number: number }>()
  await app.inject({ method: 'POST', url: `/api/orders/${number}/bake` })
  t.match(stepsOf(await drawer.told('POST /api/orders/:number/bake', 200, 'replied')), [/^read memory: session “order 1”: number, pizza, customer, stage$/, /^written .*: stage set$/, /^read/, /^written .*: news counted$/, /^replied/])
  const [, called] = drawer.entries().find(({ path }) => path.endsWith('bake'))?.sources ?? []
  t.match(called, { file: 'pizza/pizzeria.ts', text: /^\/\*\* Moves an order.*\nasync advance \([^]*\n {4}order\.update\('stage'[^]*\n\}$/ }, 'with the function that it calls')
  t.notMatch(drawer.text, token)
  t.notMatch(drawer.text, 'Ada')
})

t.test('a page that opens its drawer late is told of the last thirty', async (t) => {
  const app = await buildBasket()
  t.teardown(() => app.close())
  for (let i = 0; i < 40; i++) await app.inject('/api/shop')
  const drawer = await openDrawer(t, app)
  await app.inject('/api/basket')
  await drawer.told('GET /api/basket', 200)
  t.strictSame([drawer.entries().length, drawer.entries()[0]?.id], [31, 11])
})

t.test('documents: the versions, and the conflict', async (t) => {
  const database = await ravenDatabaseForTest(t)
  if (!database) return
  await prepareNotes(database.store)
  const app = await buildNotes(database.store)
  t.teardown(() => app.close())
  const drawer = await openDrawer(t, app)
  const [author] = (await app.inject('/api/authors')).json<AuthorView[]>()
  const [note] = (await app.inject('/api/notes')).json<NoteView[]>()
  const save = () => app.inject({ method: 'PUT', url: `/api/notes/${note?.id}`, payload: { title: 'Party', text: 'at six', author: author?.id, version: note?.version } })
  await save()
  t.match(stepsOf(await drawer.told('PUT /api/notes/:id', 200)), [/^opened/, /^loaded notes\/[\w-]{6}… at .*A:\d+/, /^saving notes\/[\w-]{6}…, if it is still at .*A:\d+/, /^saved notes\/[\w-]{6}… is at .*A:\d+.* now/, /^committed/, /^replied/, /^closed/])
  await save()
  t.match(stepsOf(await drawer.told('PUT /api/notes/:id', 409)).slice(2, 5), [/^saving/, 'rolled back request.documents: FST_SESSION_CONFLICT', 'error FST_SESSION_CONFLICT'])
  t.notMatch(drawer.text, /at six|ada@example/, 'no contents')
})

t.test('the page part', async (t) => {
  const browser = await chromiumForTest(t)
  if (!browser) return

  for (const [size, options] of Object.entries({ desk, phone })) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await t.test(`${size}, ${colorScheme}`, async (t) => {
        // An application of its own: the drawer shows the requests of all visitors.
        const app = await buildBasket()
        t.teardown(() => app.close())
        const context = await browser.newContext({ reducedMotion: 'reduce', colorScheme, ...options })
        t.teardown(() => context.close())
        const page = await context.newPage()
        await page.goto(await app.listen({ port: 0, host: '127.0.0.1' }))
        const tab = page.getByRole('button', { name: 'Under the hood' })
        t.equal(await tab.getAttribute('aria-expanded'), 'false')
        t.notOk(await page.getByRole('heading', { name: 'The route' }).isVisible(), 'it is closed')
        await checkPage(t, page, `basket ${size} ${colorScheme}`)

        await tab.click()
        t.equal(await tab.getAttribute('aria-expanded'), 'true')
        await page.getByRole('button', { name: 'Add Figs to the basket' }).click()
        await page.locator('.hood-row', { hasText: 'POST' }).first().click()
        await page.getByRole('heading', { name: 'POST /api/basket/lines' }).waitFor()
        await page.locator('.hood-steps', { hasText: 'closed' }).waitFor()
        t.match(await page.locator('.hood-steps').innerText(), /created\s+memory: session [\w-]{6}…: lines/)
        t.match(await page.locator('.hood-source').innerText(), /basket\/main\.ts, line \d+\s+app\.post</)
        await checkPage(t, page, `hood ${size} ${colorScheme}`)

        await page.locator('.hood-row', { hasText: '/api/shop' }).first().click()
        await page.getByText('No session was used').waitFor()
        await page.getByRole('button', { name: 'Add Coffee to the basket' }).click()
        await page.getByText('1 Coffee').or(page.locator('#lines .line', { hasText: 'Coffee' })).first().waitFor()
        t.ok(await page.getByText('No session was used').isVisible(), 'what was picked stays')
        await page.getByRole('button', { name: 'Follow the newest' }).click()
        await page.getByText('No session was used').waitFor({ state: 'hidden' })
        await page.reload()
        await page.getByRole('heading', { name: 'The route' }).waitFor()
        await page.locator('.hood-row').first().focus()
        await page.keyboard.press('Escape')
        t.equal(await tab.getAttribute('aria-expanded'), 'false')
        t.ok(await tab.evaluate((button) => button === document.activeElement), 'the focus is where it can be opened again')
      })
    }
  }

  await t.test('of several windows of a browser one listens for all', async (t) => {
    const app = await buildBasket()
    t.teardown(() => app.close())
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const context = await browser.newContext({ reducedMotion: 'reduce' })
    t.teardown(() => context.close())
    let streams = 0
    context.on('request', (request) => { if (request.url().endsWith('/hood/events')) streams++ })
    const open = async (): Promise<Page> => {
      const page = await context.newPage()
      await page.goto(url)
      await page.getByRole('button', { name: 'Under the hood' }).click()
      await page.locator('.hood-row', { hasText: '/api/shop' }).first().waitFor()
      return page
    }
    const first = await open()
    const second = await open()
    await second.getByRole('button', { name: 'Add Figs to the basket' }).click()
    for (const page of [first, second]) await page.locator('.hood-row', { hasText: 'committed, 200' }).first().waitFor()
    t.equal(streams, 1)
    await first.close()
    await second.getByRole('button', { name: 'Add Coffee to the basket' }).click()
    await second.locator('.hood-row', { hasText: 'committed, 200' }).nth(1).waitFor()
    t.equal(streams, 2, 'the next one when that one has gone')
  })
})
