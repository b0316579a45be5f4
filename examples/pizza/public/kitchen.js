import { byId, element } from '/shared/dom.js'
import { Trouble } from '/shared/trouble.js'
import * as api from './api.js'
import { show } from './list.js'

const page = byId()
const trouble = new Trouble(page.problem, api.outage)
const names = new Map((await api.menu()).map(({ id, name }) => [id, name]))
const hints = { ready: 'waits for a driver', 'on the way': 'on the way' }

let orders = []
api.followShop('orders/events', {
  orders (all) {
    // An order that is given up leaves the board by itself.
    const now = Date.now()
    orders = all.map((order) => ({ ...order, end: order.left === null ? Infinity : now + order.left }))
    draw()
  },
}, (state) => { page.connection.hidden = state === 'open' })
setInterval(draw, 5000)

function draw () {
  const open = orders.filter(({ end }) => end > Date.now())
  column(page.ordered, page['count-ordered'], open.filter(({ stage }) => stage === 'ordered'), ['Into the oven', api.bake])
  column(page.baking, page['count-baking'], open.filter(({ stage }) => stage === 'baking'), ['Packed', api.ready])
  column(page.leaving, page['count-out'], open.filter(({ stage }) => stage in hints))
}

function column (list, count, items, [text, act] = []) {
  count.textContent = String(items.length)
  show(list, items, ({ number }) => number, ({ number, pizza, customer }) => element('li', { className: 'card ticket' },
    element('img', { src: `/art/${pizza}.svg`, alt: '', width: 56, height: 56 }),
    element('div', {},
      element('p', { className: 'eyebrow' }, `Order ${number}`),
      element('strong', {}, names.get(pizza)),
      element('p', { className: 'soft small hint' })),
    ...text === undefined
      ? []
      : [element('button', { className: 'button', type: 'button', 'aria-label': `Order ${number} of ${customer}: ${text}`, onclick: ({ target }) => use(target, () => act(number)) }, text)]),
  (item, { stage, customer, driver }) => {
    item.querySelector('.hint').textContent = `for ${customer}${stage in hints ? ` · ${stage === 'on the way' ? `with ${driver}` : hints[stage]}` : ''}`
  })
}

async function use (button, act) {
  button.disabled = true
  trouble.clear()
  try {
    await act()
  } catch (error) {
    trouble.tell(error)
    button.disabled = false
  }
}
