import { byId } from '/shared/dom.js'
import { pageForPhone } from '/shared/qr.js'
import * as api from './api.js'
import { TownMap } from './map.js'
import { showStages, timeText } from './stages.js'

const page = byId()
const names = new Map((await api.menu()).map(({ id, name }) => [id, name]))
const map = new TownMap(page.map)
const token = window.location.hash.slice(1)

const titles = {
  ordered: 'The kitchen has your order',
  baking: 'Your pizza is in the oven',
  ready: 'Packed, and waiting for a driver',
  'on the way': 'Your pizza is on its way',
}

let stage
const stop = api.followShop(`orders/${encodeURIComponent(token)}/events`, { order: showOrder, over: showEnd }, (state) => {
  page.connection.hidden = state !== 'lost' || stage === 'over'
  if (state === 'refused' && stage === undefined) showNothing()
})

page.copy.onclick = async () => {
  await navigator.clipboard.writeText(window.location.href)
  page.copy.textContent = 'Copied'
}
const code = await pageForPhone()
if (code !== undefined) page.share.append(code, 'On a phone in this network: point its camera at this.')
window.onhashchange = () => window.location.reload()

function showOrder ({ number, pizza, customer, stage: now, driver, progress, minutes }) {
  page.number.textContent = `Order ${number}`
  page.title.textContent = titles[now]
  page.text.textContent = now === 'on the way' ? `${driver} is ${Math.round(progress * 100)} % of the way to you.` : 'You need not do anything: this page keeps up by itself.'
  page.time.textContent = timeText(minutes)
  page.driver.textContent = driver ?? 'not yet'
  page.pizza.textContent = names.get(pizza)
  page.customer.textContent = customer
  page.picture.src = `/art/${pizza}.svg`
  page.picture.hidden = false
  showStages(page.stages, now)
  map.show(progress, now === 'on the way')
  document.title = `${timeText(minutes)} – Pizzeria Passo`
  if (stage !== now) page.said.textContent = titles[now]
  stage = now
}

function showEnd ({ how }) {
  stop()
  stage = 'over'
  page.connection.hidden = true
  const delivered = how === 'ended'
  page.title.textContent = delivered ? 'Delivered. Enjoy your pizza!' : 'This order was given up'
  page.text.textContent = delivered
    ? 'The order is over, and its session with it: there is nothing left to follow.'
    : 'Nobody finished it in time. We are sorry: please order again.'
  page.when.textContent = 'Arrived'
  page.time.textContent = delivered ? 'just now' : '–'
  page.share.hidden = true
  showStages(page.stages, delivered ? 'delivered' : '')
  if (delivered) map.show(1, false)
  document.body.classList.add(delivered ? 'delivered' : 'given-up')
  document.title = delivered ? 'Delivered – Pizzeria Passo' : 'Given up – Pizzeria Passo'
  page.said.textContent = page.title.textContent
}

function showNothing () {
  page.title.textContent = 'There is no such order'
  page.text.textContent = 'It was delivered or given up, and its session is over; or the address is not whole.'
  for (const part of [page.stages, page.journey, page.share]) part.hidden = true
  page.again.hidden = false
}
