const peers = { '@fastify/session': 'fastify-session', '@mgcrea/fastify-session': 'mgcrea-session', 'express-session': 'express-session' }
const contestants = { raw: 'raw-redis', ours: 'ours', ...peers }

/** Token sessions in Redis, against the same routes written by hand and the peers on connect-redis or a store of their own. */
export default async function redis (bench) {
  const port = String(await bench.redis())

  async function start () {
    const cells = [{ name: 'bare', server: await bench.server('bare'), path: '/untouched' }]
    for (const [name, file] of Object.entries(contestants)) {
      const server = await bench.server(file, { args: ['redis', port] })
      const cookie = await bench.login(server)
      for (const route of ['read', 'write']) cells.push({ name: `${name} ${route}`, server, cookie, path: `/${route}` })
    }
    return cells
  }

  const { rate, ratio, costRatio } = await bench.measure(start)
  return [
    rate('raw GET', 'raw read'),
    rate('raw GET+SET', 'raw write'),
    ratio('read / raw GET', 'ours read', 'raw read'),
    ratio('write / raw GET+SET', 'ours write', 'raw write'),
    costRatio('read / raw GET, by CPU time', 'raw read', 'ours read'),
    costRatio('write / raw GET+SET, by CPU time', 'raw write', 'ours write'),
    ...Object.keys(peers).flatMap((name) => [
      ratio(`read / ${name}`, 'ours read', `${name} read`),
      ratio(`write / ${name}`, 'ours write', `${name} write`),
    ]),
    ...Object.keys(contestants).flatMap((name) => [
      ratio(`${name} read / bare`, `${name} read`, 'bare'),
      ratio(`${name} write / bare`, `${name} write`, 'bare'),
    ]),
  ]
}
