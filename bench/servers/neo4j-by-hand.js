/** What one would write by hand, leaving nothing open whatever happens. */
import Fastify from 'fastify'
import { driver, parameters, prepare, read, write } from './graph.js'
import { fastifyListener, serve } from './serve.js'

const app = Fastify()

app.get('/read', async () => {
  const session = driver.session({ defaultAccessMode: 'READ' })
  try {
    const { records } = await session.run(read, parameters())
    return { name: records[0].get('name') }
  } finally {
    await session.close()
  }
})

app.get('/write', async () => {
  const session = driver.session()
  try {
    const { records } = await session.run(write, parameters())
    return { count: records[0].get('count') }
  } finally {
    await session.close()
  }
})

app.get('/transaction', async () => {
  const session = driver.session()
  try {
    const transaction = session.beginTransaction()
    const { records } = await transaction.run(write, parameters())
    await transaction.commit()
    return { count: records[0].get('count') }
  } finally {
    await session.close()
  }
})

await serve(fastifyListener(app), { prepare })
