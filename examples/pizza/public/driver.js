import { byId, element } from '/shared/dom.js'
import { Trouble } from '/shared/trouble.js'
import * as api from './api.js'
import { show } from './list.js'
import { TownMap } from './map.js'
import { timeText } from './stages.js'

/** Percent of the way, and milliseconds, of a step of the scooter that drives by itself. */
const step = 4
const pace = 1000

const page = byId()
const trouble = new Trouble(page.problem, api.outage, findShift)
const names = new Map((await api.menu()).map(({ id, name }) => [id, name]))
const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
let stop = () => {}
/** The driver whose orders are followed. */
let followed

await findShift()

page.begin.onsubmit = (event) => {
  event.preventDefault()
  use(async () => showShift(await api.beginShift(new window.FormData(page.begin).get('name'))))
}
page.end.onclick = () => use(async () => {
  await api.endShift()
  await showShift({ driver: undefined, deliveries: [] })
  page.name.focus()
})

function findShift () {
  return use(async () => showShift(await api.shift()))
}

async function showShift ({ driver, deliveries }) {
  page.begin.hidden = driver !== undefined
  page.work.hidden = driver === undefined
  page.title.textContent = driver === undefined ? 'Driver' : `Good ride, ${driver}`
  const done = deliveries.filter(({ deliveredAt }) => deliveredAt !== null)
  if (driver !== undefined) page.text.textContent = done.length === 1 ? 'One pizza delivered so far.' : `${done.length || 'No'} pizzas delivered so far.`
  show(page.deliveries, deliveries, ({ number }) => number, () => element('li'), (item, { number, pizza, customer, deliveredAt }) => {
    item.textContent = `${number} · ${names.get(pizza)} for ${customer} · ${deliveredAt === null ? 'on the way' : `delivered at ${time.format(new Date(deliveredAt))}`}`
  })
  if (followed === driver) return
  followed = driver
  stop()
  if (driver !== undefined) stop = api.followShop('shift/events', { orders: (orders) => showOrders(orders) }, (state) => { page.connection.hidden = state === 'open' })
}

function showOrders (orders) {
  const ready = orders.filter(({ stage }) => stage === 'ready')
  const trips = orders.filter(({ stage }) => stage === 'on the way')
  page.count.textContent = String(ready.length)
  show(page.ready, ready, ({ number }) => number, ({ number, pizza, customer }) => element('li', { className: 'card ticket' },
    element('img', { src: `/art/${pizza}.svg`, alt: '', width: 56, height: 56 }),
    element('div', {}, element('p', { className: 'eyebrow' }, `Order ${number}`), element('strong', {}, names.get(pizza)), element('p', { className: 'soft small' }, `for ${customer}`)),
    element('button', { className: 'button', type: 'button', 'aria-label': `Take order ${number}`, onclick: () => use(async () => showShift(await api.take(number))) }, 'Take it')),
  () => {})
  show(page.trips, trips, ({ number }) => number, makeTrip, (item, { progress, minutes }) => item.update(progress, minutes))
}

function makeTrip ({ number, pizza, customer }) {
  const map = element('div')
  const left = element('strong', { className: 'figures' })
  const slider = element('input', { type: 'range', min: '0', max: '100', step: '1', 'aria-label': `How far order ${number} is, in percent` })
  const auto = element('button', { className: 'button quiet', type: 'button', 'aria-pressed': 'false', onclick: () => steer(timer === undefined) }, 'Drive by itself')
  const item = element('li', { className: 'card trip' },
    map,
    element('div', { className: 'controls' },
      element('p', {}, element('span', { className: 'eyebrow' }, `Order ${number}`), element('br'), element('strong', {}, names.get(pizza)), ` for ${customer}`),
      element('p', { className: 'soft' }, left),
      slider,
      element('div', { className: 'buttons' },
        element('button', { className: 'button quiet', type: 'button', onclick: () => drive(10) }, 'Drive on'),
        auto,
        element('button', { className: 'button', type: 'button', 'aria-label': `Order ${number} is delivered`, onclick: () => use(async () => showShift(await api.delivered(number))) }, 'Delivered'))))
  const town = new TownMap(map)
  // The scooter is where the slider is; the server is told of the last place once it has taken the one before.
  let moving = false
  let wanted
  async function go (percent) {
    slider.value = String(percent)
    town.show(percent / 100)
    wanted = percent
    if (moving) return
    moving = true
    while (wanted !== undefined) {
      const next = wanted
      wanted = undefined
      await use(() => api.move(number, next / 100))
    }
    moving = false
  }
  function drive (percent) {
    return go(Math.min(100, Number(slider.value) + percent))
  }
  // It stops at the door, when the slider is taken, and when the order is gone.
  let timer
  function steer (byItself) {
    clearInterval(timer)
    auto.setAttribute('aria-pressed', String(byItself))
    timer = byItself ? setInterval(next, pace) : undefined
  }
  function next () {
    if (item.isConnected) drive(step)
    if (!item.isConnected || slider.value === '100') steer(false)
  }
  slider.oninput = () => {
    steer(false)
    go(Number(slider.value))
  }
  item.update = (progress, minutes) => {
    left.textContent = `There in ${timeText(minutes)}`.replace('in any', 'any')
    if (moving) return
    slider.value = String(Math.round(progress * 100))
    town.show(progress)
  }
  return item
}

async function use (work) {
  trouble.clear()
  try {
    await work()
  } catch (error) {
    trouble.tell(error)
  }
}
