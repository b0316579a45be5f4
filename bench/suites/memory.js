const peers = { '@fastify/session': 'fastify-session', '@fastify/secure-session': 'secure-session', 'express-session': 'express-session' }

/** Token sessions in the embedded memory store, against bare Fastify and the peers on theirs. */
export default async function memory (bench) {
  async function start () {
    const bare = await bench.server('bare')
    const ours = await bench.server('ours')
    const cookie = await bench.login(ours)
    const cells = [{ name: 'bare', server: bare, path: '/untouched', cookie }]
    for (const route of ['untouched', 'read', 'write']) cells.push({ name: route, server: ours, path: `/${route}`, cookie })
    for (const [name, file] of Object.entries(peers)) {
      const server = await bench.server(file)
      const cookie = await bench.login(server)
      for (const route of ['read', 'write']) cells.push({ name: `${name} ${route}`, server, path: `/${route}`, cookie })
    }
    return cells
  }

  const { rate, ratio, costRatio } = await bench.measure(start)
  return [
    rate('bare', 'bare'),
    ...['untouched', 'read', 'write'].map((route) => ratio(`${route} / bare`, route, 'bare')),
    ...['untouched', 'read', 'write'].map((route) => costRatio(`${route} / bare, by CPU time`, 'bare', route)),
    ...Object.keys(peers).flatMap((name) => [
      ratio(`read / ${name}`, 'read', `${name} read`),
      ratio(`write / ${name}`, 'write', `${name} write`),
    ]),
    ...Object.keys(peers).flatMap((name) => [
      ratio(`${name} read / bare`, `${name} read`, 'bare'),
      ratio(`${name} write / bare`, `${name} write`, 'bare'),
    ]),
  ]
}
