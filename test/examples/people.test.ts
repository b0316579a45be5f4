import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { openDatabase } from '../../examples/people/database.js'
import { buildApp } from '../../examples/people/main.js'
import { prepare, type Graph } from '../../examples/people/people.js'
import { barrier } from '../support/barrier.js'
import { runDemo } from '../support/demo.js'
import { openDrawer, stepsOf } from '../support/drawer.js'
import { assertNoneInUse } from '../support/neo4j/driver.js'
import { checkPage } from '../support/page-check.js'
import { chromiumForTest, neo4jForTest } from '../support/servers/require.js'

t.test('the people', async (t) => {
  const server = await neo4jForTest(t)
  if (!server) return
  const { neogma, close } = await openDatabase(server.url)
  t.teardown(close)
  await neogma.queryRunner.run('MATCH (p:ExamplePerson) DETACH DELETE p')
  await prepare(neogma.driver)
  await prepare(neogma.driver)
  const app = await buildApp(neogma)
  t.teardown(() => app.close())

  await t.test('the routes', (t) => routes(t, app))
  await t.test('the page', (t) => page(t, app))
  await t.test('the drawer', async (t) => underTheHood(t, await buildApp(neogma)))
  await assertNoneInUse(t, neogma.driver)

  await t.test('a start tells what takes its time', async (t) => {
    const demo = runDemo(t, ['people'], {})
    t.match(await demo.line(), /^people on a Neo4j of its own: http/)
    demo.signal('SIGTERM')
    t.match((await demo.over).errors, /^Starting Neo4j 5[.\d]+…$/m)
    const folder = t.testdir({ mvn: '#!/bin/sh\nexit 1\n' })
    await chmod(`${folder}/mvn`, 0o755)
    const { errors } = await runDemo(t, ['people'], { HOME: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}`, NEO4J_VERSION: '5.0.0-none' }).over
    t.match(errors, /^Getting Neo4j 5\.0\.0-none with Maven \(135 MB, once\)…\nThe people live in Neo4j\. /)
  })
})

async function underTheHood (t: Test, app: FastifyInstance): Promise<void> {
  t.teardown(() => app.close())
  const drawer = await openDrawer(t, app)
  const { people: [one, two] } = (await app.inject('/api/graph')).json<Graph>()
  t.match((await drawer.told('GET /api/graph', 200)).steps, [{ what: 'opened' }, { what: 'RUN' }, { what: 'RUN', code: /^MATCH \(a:ExamplePerson\)-\[:KNOWS\]-.*\nRETURN DISTINCT/ }, { what: 'committed' }, {}, {}])
  await app.inject({ method: 'POST', url: '/api/acquaintances', payload: { from: one?.id, to: two?.id } })
  t.strictSame((await drawer.told('POST /api/acquaintances', 204)).steps.map(({ what }) => what), ['opened', 'BEGIN', 'RUN', 'COMMIT', 'committed', 'replied', 'closed'])
  await app.inject({ method: 'POST', url: '/api/acquaintances', payload: { from: one?.id, to: '00000000-0000-4000-8000-000000000000' } })
  t.strictSame((await drawer.told('POST /api/acquaintances', 404)).steps.map(({ what }) => what), ['opened', 'BEGIN', 'RUN', 'error', 'ROLLBACK', 'rolled back', 'replied', 'closed'])
  await app.inject({ method: 'POST', url: '/api/half-way', payload: { name: 'A stranger', knows: one?.id } })
  t.match(stepsOf(await drawer.told('POST /api/half-way', 409)).slice(6, 10), ['FAILURE Neo.ClientError.Schema.ConstraintValidationFailed', 'ROLLBACK by the database itself: nothing is kept', 'error PEOPLE_HALF_WAY', 'rolled back request.change'])
  t.notMatch(drawer.text, /A stranger"|[\da-f]{8}-[\da-f]{4}/, 'no parameter of a query')
}

async function routes (t: Test, app: FastifyInstance): Promise<void> {
  const graph = async (): Promise<Graph> => (await app.inject('/api/graph')).json()
  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload })
  const first = await graph()
  const idOf = (name: string): string => first.people.find((person) => person.name === name)?.id ?? ''
  const way = async (from: string, to: string): Promise<string[]> => {
    const { people } = await graph()
    const { ids } = (await app.inject({ url: '/api/path', query: { from, to } })).json<{ ids: string[] }>()
    return ids.map((id) => people.find((person) => person.id === id)?.name ?? id)
  }
  t.match(first, { people: { length: 13 }, acquaintances: { length: 16 } }, 'prepared once')

  await t.test('the shortest way', async (t) => {
    t.strictSame(await way(idOf('Caroline'), idOf('Darcy')), ['Caroline', 'Bingley', 'Darcy'])
    t.strictSame(await way(idOf('Darcy'), idOf('Darcy')), ['Darcy'])
  })

  await t.test('someone new, and whom they know', async (t) => {
    const reply = await post('/api/people', { name: 'Kitty' })
    t.equal(reply.statusCode, 201)
    const { id } = reply.json<{ id: string }>()
    t.strictSame(await way(id, idOf('Darcy')), [], 'there is no way yet')
    for (const [from, to] of [[id, idOf('Lydia')], [idOf('Lydia'), id]]) {
      t.equal((await post('/api/acquaintances', { from, to })).statusCode, 204)
    }
    t.equal((await graph()).acquaintances.length, 17, 'to connect twice makes one acquaintance')
    t.strictSame(await way(id, idOf('Darcy')), ['Kitty', 'Lydia', 'Elizabeth', 'Darcy'])
  })

  await t.test('a name is taken once, however many ask for it at once', async (t) => {
    const replies = await Promise.all([1, 2, 3, 4].map(() => post('/api/people', { name: 'Mary' })))
    t.strictSame(replies.map(({ statusCode }) => statusCode).sort(), [201, 409, 409, 409])
    t.match(replies.find(({ statusCode }) => statusCode === 409)?.json(), { code: 'PEOPLE_NAME_TAKEN', message: /Mary/ })
  })

  await t.test('what fails half-way leaves nothing', async (t) => {
    const before = await graph()
    const reply = await post('/api/half-way', { name: 'A stranger', knows: idOf('Darcy') })
    t.match(reply.json(), {
      statusCode: 409,
      code: 'PEOPLE_HALF_WAY',
      steps: ['A stranger was added', 'A stranger was connected', `The request counted ${before.people.length + 1} people`],
    })
    t.strictSame(await graph(), before)
  })

  await t.test('bad input', async (t) => {
    const stranger = '00000000-0000-4000-8000-000000000000'
    for (const [url, payload, status] of [
      ['/api/people', {}, 400], ['/api/people', { name: '' }, 400], ['/api/people', { name: ' Ada' }, 400],
      ['/api/people', { name: 'x'.repeat(25) }, 400], ['/api/people', { name: 7 }, 400], ['/api/people', { name: 'Ada', id: stranger }, 400],
      ['/api/acquaintances', { from: 'x', to: 'y' }, 400],
      ['/api/acquaintances', { from: idOf('Darcy'), to: stranger }, 404],
      ['/api/acquaintances', { from: idOf('Darcy'), to: idOf('Darcy') }, 404],
    ] as const) {
      t.equal((await post(url, payload)).statusCode, status, `${url} ${JSON.stringify(payload)}`)
    }
    t.equal((await app.inject('/api/path?from=x')).statusCode, 400)
    t.equal((await app.inject('/cytoscape/cytoscape.cjs.js')).statusCode, 404, 'only what the page needs is served')
  })
}

async function page (t: Test, app: FastifyInstance): Promise<void> {
  const browser = await chromiumForTest(t)
  if (!browser) return
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const troubles: string[] = []
  const open = async (width: number, height: number): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce' })
    t.teardown(() => context.close())
    const page = await context.newPage()
    page.on('pageerror', ({ message }) => troubles.push(message))
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().includes('409')) troubles.push(message.text())
    })
    await page.goto(url)
    await page.locator('#from option').first().waitFor({ state: 'attached' })
    return page
  }
  const says = async (page: Page, selector: string, text: string): Promise<void> => {
    await page.locator(selector, { hasText: text }).waitFor({ timeout: 10_000 })
  }

  const wide = await open(1280, 800)
  await says(wide, '#counts', '15 people, 17 acquaintances')

  await wide.selectOption('#from', { label: 'Wickham' })
  await wide.selectOption('#to', { label: 'Mr Bennet' })
  await wide.click('#path')
  await says(wide, '#way', 'Wickham → Lydia → Elizabeth → Mr Bennet: 3 steps')

  await wide.fill('#name', 'Colonel Forster')
  await wide.click('#add button')
  await says(wide, '#counts', '16 people, 17 acquaintances')
  await wide.selectOption('#to', { label: 'Lydia' })
  await wide.click('#connect')
  await says(wide, '#way', 'Colonel Forster and Lydia know each other.')
  await says(wide, '#counts', '16 people, 18 acquaintances')

  await wide.fill('#name', 'Colonel Forster')
  await wide.click('#add button')
  await says(wide, '#problem', 'There is someone called Colonel Forster already.')

  t.equal(await wide.locator('#way').textContent(), '', 'what was said before is gone')

  await wide.evaluate(() => { window.scrollTo(0, 0) })
  await wide.click('#half-way')
  await says(wide, '#verdict', 'Before: 16 people, 18 acquaintances. After: 16 people, 18 acquaintances.')
  t.equal(await wide.locator('#steps .undone').count(), 3)
  // The reader need not scroll: the page has.
  await wide.waitForFunction(() => {
    const { top, bottom } = (document.querySelector('#verdict') as Element).getBoundingClientRect()
    return top >= 0 && bottom <= window.innerHeight
  })
  await checkPage(t, wide, 'people desk')

  // The middle of the drawing is on no one: people are looked for where they are drawn.
  await wide.click('#fit')
  const box = await wide.locator('#drawing').boundingBox()
  const picked = new Set<string>()
  if (box !== null) {
    for (let x = 20; x < box.width && picked.size < 3; x += 24) {
      for (let y = 20; y < box.height && picked.size < 3; y += 24) {
        await wide.mouse.click(box.x + x, box.y + y)
        picked.add(await wide.locator('#from').inputValue())
      }
    }
  }
  t.equal(picked.size, 3, 'a tap on a person picks them')
  t.notOk(await wide.locator('#half').isVisible(), 'the verdict is old by then')

  const phone = await open(390, 844)
  await says(phone, '#counts', '16 people, 18 acquaintances')
  await checkPage(t, phone, 'people phone')
  await wide.fill('#name', 'Mrs Forster')
  await wide.click('#add button')
  await says(phone, '#counts', '17 people, 18 acquaintances')
  await phone.selectOption('#from', { label: 'Mrs Forster' })
  await phone.selectOption('#to', { label: 'Colonel Forster' })
  await phone.click('#connect')
  await says(wide, '#counts', '17 people, 19 acquaintances')
  await phone.click('#half-way')
  await says(phone, '#verdict', 'Before: 17 people')
  await checkPage(t, phone, 'people verdict phone')

  // Whoever is somewhere in the drawing is there when somebody else has come.
  const tap = async (): Promise<string[]> => {
    await wide.evaluate(() => { window.scrollTo(0, 0) })
    for (const list of ['#from', '#to']) await wide.selectOption(list, { label: 'Mrs Forster' })
    const box = await wide.locator('#drawing').boundingBox()
    const found: string[] = []
    if (box === null) return found
    for (let x = 20; x < box.width; x += 36) {
      for (let y = 20; y < box.height; y += 36) {
        await wide.mouse.click(box.x + x, box.y + y)
        // Both lists had the same person before: whoever is in one of them now was picked.
        found.push(await wide.evaluate(() => {
          const lists = [...document.querySelectorAll('select')]
          const nobody = [...lists[0]?.options ?? []].find(({ text }) => text === 'Mrs Forster')?.value ?? ''
          const picked = lists.find(({ value }) => value !== nobody)?.selectedOptions[0]?.text ?? 'nobody'
          for (const list of lists) list.value = nobody
          return picked
        }))
      }
    }
    return found
  }
  const places = await tap()
  t.ok(new Set(places).size > 3, 'some are found')
  await wide.fill('#name', 'Sir William')
  const held = barrier()
  await wide.route('**/api/people', async (route) => {
    await held.opened
    await route.continue()
  })
  await wide.click('#add button')
  await wide.locator('#add button[aria-busy=true]:disabled').waitFor()
  held.open()
  await says(wide, '#counts', '18 people, 19 acquaintances')
  await wide.locator('#add button:not([aria-busy])').waitFor()
  const after = (await tap()).map((name) => name === 'Sir William' ? 'nobody' : name)
  t.strictSame(after, places, 'all are where they were')
  t.strictSame(troubles, [])
}

t.test('npm run demo -- people says what is missing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'people-'))
  t.teardown(() => rm(folder, { recursive: true }))
  for (const [env, says] of [
    [{ NEO4J_URL: 'bolt://user:secret@127.0.0.1:1' }, /^No Neo4j answers at bolt:\/\/127\.0\.0\.1:1: /],
    [{ NEO4J_URL: 'http://127.0.0.1:7474' }, /^NEO4J_URL must be like neo4j:\/\/user:password@host:7687; got "http/],
    [{ NEO4J_VERSION: '5.0.0-none' }, /^The people live in Neo4j\. Maven, to get the Neo4j server is missing: apt-get install .*NEO4J_URL/],
  ] as const) {
    const { code, errors } = await runDemo(t, ['people'], { PATH: folder, HOME: folder, JAVA_HOME: process.env['JAVA_HOME'], ...env }).over
    t.equal(code, 1)
    t.match(errors, says)
    t.notMatch(errors, 'secret')
  }
})
