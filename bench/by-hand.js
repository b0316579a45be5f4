/**
 * Measures routes through the plugin beside the same routes written by hand.
 * @param {import('./suites.js').Bench} bench
 * @param {{ start: (way: 'plugin' | 'by hand') => Promise<import('./suites.js').Server>, connections?: number }} contestants
 *   `start` starts a fresh process of either way
 * @param {string[]} routes what all of them do in one process bears on each
 * @param {Parameters<import('./suites.js').Bench['measure']>[1]} options
 * @returns {Promise<import('./suites.js').Figure[]>}
 */
export async function besideByHand (bench, { start, connections }, routes, options) {
  const { rate, ratio, costRatio } = await bench.measure(async () => {
    const cells = []
    for (const way of ['plugin', 'by hand']) {
      const server = await start(way)
      for (const route of routes) cells.push({ name: `${way} ${route}`, server, connections, path: `/${route}` })
    }
    return cells
  }, options)
  return routes.flatMap((route) => [
    rate(`${route}, by hand`, `by hand ${route}`),
    ratio(`${route} / by hand`, `plugin ${route}`, `by hand ${route}`),
    costRatio(`${route} / by hand, by CPU time`, `by hand ${route}`, `plugin ${route}`),
  ])
}
