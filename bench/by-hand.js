/**
 * Measures routes through the plugin beside the same routes written by hand, both under load at the same time: the two
 * servers share a core, and each answers what it can with its half of it.
 * @param {import('./suites.js').Bench} bench
 * @param {{ start: (way: 'plugin' | 'by hand') => Promise<import('./suites.js').Server>, connections?: number }} contestants
 *   `start` starts a fresh process of either way
 * @param {string[]} routes what all of them do in one process bears on each
 * @param {Parameters<import('./suites.js').Bench['measure']>[1]} options
 * @returns {Promise<import('./suites.js').Figure[]>}
 */
export async function besideByHand (bench, { start, connections }, routes, options) {
  const { rate, ratio, costRatio } = await bench.measure(async () => {
    const servers = []
    for (const way of ['plugin', 'by hand']) servers.push({ way, server: await start(way) })
    return routes.map((route) => servers.map(({ way, server }) => ({ name: `${way} ${route}`, server, connections, path: `/${route}` })))
  }, { turn: 1, ...options })
  return routes.flatMap((route) => [
    rate(`${route}, by hand, beside the plugin`, `by hand ${route}`),
    ratio(`${route} / by hand`, `plugin ${route}`, `by hand ${route}`),
    costRatio(`${route} / by hand, by CPU time`, `by hand ${route}`, `plugin ${route}`),
  ])
}
