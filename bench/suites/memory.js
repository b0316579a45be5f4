const peers = {
  '@fastify/session': 'fastify-session',
  '@mgcrea/fastify-session': 'mgcrea-session',
  '@fastify/secure-session': 'secure-session',
  'express-session': 'express-session',
}
const routes = ['read', 'write']

/** Token sessions in the embedded memory store, against bare Fastify, the same routes written by hand, and the peers on their stores. */
export default async function memory (bench) {
  return [...await besideEachOther(bench), ...await inTurns(bench)]
}

/** The differences to bare Fastify and to routes by hand are small: both sides are under load at the same time, and share a core. */
async function besideEachOther (bench) {
  const { rate, cost, ratio, costRatio, fresh } = await bench.measure(async () => {
    const [bare, byHand, ours] = [await bench.server('bare'), await bench.server('memory-by-hand'), await bench.server('ours')]
    const cookies = new Map([[byHand, await bench.login(byHand)], [ours, await bench.login(ours)]])
    const cell = (name, server, route) => ({ name: `${name} ${route}`, server, path: `/${route}`, cookie: cookies.get(server) ?? cookies.get(ours) })
    return [
      [cell('plugin', ours, 'untouched'), cell('bare', bare, 'untouched')],
      ...routes.map((route) => [cell('plugin', ours, route), cell('by hand', byHand, route)]),
    ]
  }, { turn: 1, fresh: true })
  const pairs = [['untouched', 'bare'], ...routes.map((route) => [route, 'by hand'])]
  return pairs.flatMap(([route, other]) => [
    rate(`${route}, ${other}, beside the plugin`, `${other} ${route}`),
    ratio(`${route} / ${other}`, `plugin ${route}`, `${other} ${route}`),
    costRatio(`${route} / ${other}, by CPU time`, `${other} ${route}`, `plugin ${route}`),
    fresh.ratio(`${route} / ${other}, fresh processes`, `plugin ${route}`, `${other} ${route}`),
    cost(`${route}, ${other}: CPU time`, `${other} ${route}`),
    cost(`${route}, plugin: CPU time`, `plugin ${route}`),
  ])
}

async function inTurns (bench) {
  const { rate, ratio, costRatio } = await bench.measure(async () => {
    const bare = await bench.server('bare')
    const ours = await bench.server('ours')
    const cookie = await bench.login(ours)
    const cells = [{ name: 'bare', server: bare, path: '/untouched', cookie }]
    for (const route of routes) cells.push({ name: route, server: ours, path: `/${route}`, cookie })
    for (const [name, file] of Object.entries(peers)) {
      const server = await bench.server(file)
      const cookie = await bench.login(server)
      for (const route of routes) cells.push({ name: `${name} ${route}`, server, path: `/${route}`, cookie })
    }
    return cells
  })
  return [
    rate('bare', 'bare'),
    ...routes.map((route) => ratio(`${route} / bare`, route, 'bare')),
    ...Object.keys(peers).flatMap((name) => routes.map((route) => ratio(`${route} / ${name}`, route, `${name} ${route}`))),
    ...Object.keys(peers).flatMap((name) => routes.map((route) => costRatio(`${route} / ${name}, by CPU time`, `${name} ${route}`, route))),
    ...Object.keys(peers).flatMap((name) => routes.map((route) => ratio(`${name} ${route} / bare`, `${name} ${route}`, 'bare'))),
  ]
}
