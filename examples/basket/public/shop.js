import { Refusal } from '/shared/ask.js'
import { byId, element, euros } from '/shared/dom.js'
import { follow } from '/shared/follow.js'
import * as api from './api.js'
import { Countdown, clockText, lifetimeText, lifetimeWords } from './countdown.js'
import { BasketLines } from './lines.js'
import { ProductCards } from './products.js'

/** From here on the clock turns red: a part of the basket's lifetime, and at the most this many milliseconds. */
const soonPart = 0.3
const soonMost = 60_000

const page = byId()
const shop = await api.shop()
const names = new Map(shop.products.map(({ id, name }) => [id, name]))
const defaultLifetime = shop.lifetimes.at(-1)

/** What the server last said. */
let state = { lines: [], total: 0, receipt: undefined, ttl: defaultLifetime, left: null }
let toldSoon = false
/** Stops listening for the end of the basket; `undefined` while there is none to listen for. */
let stopListening

const cards = new ProductCards(page.products, shop, ({ id, name }) => use(() => api.add(id), `${name} is in the basket.`))
const lines = new BasketLines(page.lines, shop, {
  more: ({ id, name }) => use(() => api.add(id), `One more: ${name}.`),
  less: ({ id, name }) => use(() => api.setQuantity(id, quantityOf(id) - 1), `One less: ${name}.`),
  remove: ({ id, name }) => use(() => api.setQuantity(id, 0), `${name} was removed.`),
})
const countdown = new Countdown({ onTick: showTime, onZero: lookAfterTheEnd })

page.lifetimes.append(...shop.lifetimes.map((seconds) => element('label', {},
  element('input', {
    type: 'radio',
    name: 'lifetime',
    value: String(seconds),
    onchange: () => use(() => api.setLifetime(seconds), `The basket is forgotten after ${lifetimeWords(seconds)} without use.`),
  }),
  element('span', {}, lifetimeText(seconds)))))

page.pay.onclick = async () => {
  await use(() => api.checkOut(state.total), 'Paid. Here is your receipt.')
  if (state.receipt !== undefined) page.receipt.focus()
}
page.leave.onclick = async () => {
  await use(async () => {
    await api.end()
    return api.look()
  }, 'Your session has ended.')
  page.basket.focus()
}
// The bar leads to the basket: it is of no use while that is to be seen.
new window.IntersectionObserver(([entry]) => { page.bar.hidden = entry.isIntersecting }, { threshold: 0.25 }).observe(page.basket)
// Another tab may have used the basket meanwhile.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) listen(false)
  else look()
})

let last = Promise.resolve()

/** One after the other: each call goes by what the last one said. */
function queue (work) {
  last = last.then(work)
  return last
}

/** Does something with the basket and shows what became of it. */
function use (call, said) {
  return queue(async () => {
    try {
      show(await call())
      page.problem.hidden = true
      say(said)
    } catch (error) {
      await explain(error)
    }
  })
}

/** @param why how the basket has ended, if that was told */
function look (why) {
  return queue(async () => {
    try {
      showFound(await api.look(), why)
    } catch (error) {
      await explain(error)
    }
  })
}

/** The time seems to be up. A moment later, since the server's clock decides. */
function lookAfterTheEnd () {
  setTimeout(() => look(), 100)
}

/** Hears of the end of the basket at once, wherever that comes from. */
function listen (exists) {
  if (exists === (stopListening !== undefined)) return
  stopListening?.()
  stopListening = exists
    ? follow('basket/events', {
      over ({ why }) {
        listen(false)
        look(why)
      },
    })
    : undefined
}

/** The basket as it was found, which may be gone. */
function showFound (view, why = 'expired') {
  const { ttl, left } = state
  // What was said of an end stays: the clock may ask about it once more.
  if (left === null && view.left === null) return
  show(view)
  if (view.left !== null) return
  const [title, text] = why === 'expired'
    ? ['Your basket has expired', `It was not used for ${lifetimeWords(ttl)}, so that the shop has forgotten it.`]
    : ['Your basket was ended', 'Not on this page: in another tab, or by whoever runs the shop.']
  page['expired-title'].textContent = title
  page['expired-text'].textContent = `${text} Put something in to begin a new one.`
  page.expired.hidden = false
  page.empty.hidden = true
  page['bar-count'].textContent = title
  say(`${title}.`)
}

async function explain (error) {
  page.problem.hidden = false
  if (error instanceof Refusal && error.status === 409) {
    page.problem.textContent = error.code.startsWith('SHOP_') ? error.message : 'The basket changed or expired at that very moment. This is how it is now.'
    showFound(await api.look().catch(() => state))
  } else if (error instanceof Refusal && error.status !== 503) {
    page.problem.textContent = error.message
  } else {
    page.problem.textContent = 'The shop cannot get at the baskets right now. What you did last may not have been kept: please try again in a moment.'
  }
  page.problem.scrollIntoView({ block: 'nearest' })
}

function show (view) {
  state = view
  const isPaid = view.receipt !== undefined && view.lines.length === 0
  const isEmpty = view.lines.length === 0
  page.expired.hidden = true
  page.empty.hidden = !isEmpty || isPaid
  page.filled.hidden = isEmpty
  page.receipt.hidden = !isPaid
  page['empty-text'].textContent = view.left === null
    ? 'There is nothing in it yet. It begins with the first thing that you put in.'
    : 'There is nothing in it at the moment.'
  listen(view.left !== null && !document.hidden)
  cards.show(view.lines)
  lines.show(view.lines)
  page.total.textContent = euros(view.total)
  if (isPaid) showReceipt(view.receipt)
  showCount(view)
  showLifetime(view)
}

function showReceipt ({ number, paidAt, lines, total }) {
  page['receipt-number'].textContent = number
  page['receipt-time'].textContent = new Date(paidAt).toLocaleString('en', { dateStyle: 'long', timeStyle: 'short' })
  page['receipt-lines'].replaceChildren(...lines.map(({ product, quantity, sum }) => element('li', {},
    element('span', {}, `${quantity} × ${names.get(product)}`), element('span', { className: 'figures' }, euros(sum)))))
  page['receipt-total'].textContent = euros(total)
}

function showCount ({ lines, total }) {
  const count = lines.reduce((sum, { quantity }) => sum + quantity, 0)
  page['bar-count'].textContent = count === 0 ? 'Your basket is empty' : `${count} in your basket`
  page['bar-total'].textContent = count === 0 ? '' : euros(total)
}

function showLifetime ({ ttl, left }) {
  for (const input of page.lifetimes.querySelectorAll('input')) input.checked = Number(input.value) === ttl
  page['lifetime-hint'].textContent = left === null ? 'Not begun yet' : 'Each use begins the time anew'
  page.clock.hidden = left === null
  toldSoon = false
  if (left !== null) return countdown.start(left)
  countdown.stop()
  page['bar-left'].textContent = ''
}

function showTime (left) {
  const whole = state.ttl * 1000
  const soon = left < Math.min(whole * soonPart, soonMost)
  page.left.textContent = page['bar-left'].textContent = clockText(left)
  page.ring.style.strokeDashoffset = String(100 - Math.min(left / whole, 1) * 100)
  page.clock.classList.toggle('soon', soon)
  if (soon && !toldSoon) say(`The basket is forgotten in ${clockText(left)}.`)
  toldSoon = soon
}

function quantityOf (product) {
  return state.lines.find((line) => line.product === product)?.quantity ?? 1
}

function say (text) {
  page.said.textContent = text
}

await use(api.basket, '')
