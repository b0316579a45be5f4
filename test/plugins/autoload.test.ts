import { execFile } from 'node:child_process'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A CommonJS application whose plugins and routes are loaded by @fastify/autoload, as fastify-cli's template has it. */
const files = {
  'package.json': '{ "type": "commonjs" }',
  'app.js': `
    const { join } = require('node:path')
    const AutoLoad = require('@fastify/autoload')
    module.exports = async function (fastify) {
      fastify.register(AutoLoad, { dir: join(__dirname, 'plugins') })
      fastify.register(AutoLoad, { dir: join(__dirname, 'routes') })
    }`,
  'main.js': `
    const fastify = require('fastify')()
    fastify.register(require('./app.js'))
    fastify.inject({ method: 'POST', url: '/visits' })
      .then(async (reply) => {
        const again = await fastify.inject({ method: 'POST', url: '/visits', headers: { cookie: reply.headers['set-cookie'].split(';')[0] } })
        console.log(reply.body, again.body)
        await fastify.close()
      })`,
  plugins: {
    'session.js': `
      const fp = require('fastify-plugin')
      const { default: requestSession, tokenSessions } = require('fastify-request-session')
      module.exports = fp(async function (fastify) {
        fastify.register(requestSession, { provider: tokenSessions() })
      })`,
  },
  routes: {
    visits: {
      'index.js': `
        module.exports = async function (fastify) {
          fastify.post('/', async (request) => ({ visits: (await request.session).increment('visits') }))
        }`,
    },
  },
}

t.test('a CommonJS application with @fastify/autoload', async (t) => {
  const folder = t.testdir(files)
  const modules = join(folder, 'node_modules')
  await mkdir(modules)
  await symlink(root, join(modules, 'fastify-request-session'))
  for (const name of ['fastify', 'fastify-plugin', '@fastify']) await symlink(join(root, 'node_modules', name), join(modules, name))
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'main.js')])
  t.equal(stdout, '{"visits":1} {"visits":2}\n')
})
