const routes = ['untouched', 'read']

/** The cost of `ambient: true`, and of a session that is found by it: the same application with and without, under load at the same time. */
export default async function ambient (bench) {
  const { cost, costRatio } = await bench.measure(async () => {
    const [ambient, plain] = [await bench.server('ours', { args: ['ambient'] }), await bench.server('ours')]
    const cookies = new Map([[ambient, await bench.login(ambient)], [plain, await bench.login(plain)]])
    const cell = (name, server, route) => ({ name, server, path: `/${route}`, cookie: cookies.get(server) })
    return [
      ...routes.map((route) => [cell(`ambient ${route}`, ambient, route), cell(route, plain, route)]),
      [cell('current', ambient, 'current'), cell('read beside current', plain, 'read')],
    ]
  }, { turn: 1, batches: 4 })
  return [
    ...routes.flatMap((route) => [
      cost(`${route}: CPU time`, route),
      cost(`${route}, with ambient: CPU time`, `ambient ${route}`),
      costRatio(`${route}, with ambient / without, by CPU time`, `ambient ${route}`, route),
    ]),
    costRatio('currentSession() / request.session without ambient, by CPU time', 'current', 'read beside current'),
  ]
}
