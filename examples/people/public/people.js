import { byId } from '/shared/dom.js'
import { follow } from '/shared/follow.js'
import { Trouble } from '/shared/trouble.js'
import * as api from './api.js'
import { Drawing } from './drawing.js'

const page = byId()
const trouble = new Trouble(page.problem, 'The database cannot be reached right now. What you did last may not have been kept: please look again in a moment.', () => load())
const drawing = new Drawing(page.drawing, pick)

/** What the server last said. */
let graph = { people: [], acquaintances: [] }
/** Which of the two lists the next tap fills. */
let next = 'from'
let isBusy = false
let loaded = Promise.resolve()

page.from.onchange = page.to.onchange = () => choose(page.from.value, page.to.value)
page.fit.onclick = () => drawing.fit()

page.path.onclick = () => act(page.path, async () => {
  const ids = await api.path(page.from.value, page.to.value)
  drawing.showWay(ids)
  page.way.textContent = ids.length === 0
    ? `There is no way from ${nameOf(page.from.value)} to ${nameOf(page.to.value)}.`
    : `${ids.map(nameOf).join(' → ')}: ${count(ids.length - 1, 'step')}`
})

page.connect.onclick = () => act(page.connect, async () => {
  const [from, to] = [page.from.value, page.to.value]
  await api.connect(from, to)
  await load()
  drawing.showWay([from, to])
  page.way.textContent = `${nameOf(from)} and ${nameOf(to)} know each other.`
})

page.add.onsubmit = (event) => {
  event.preventDefault()
  return act(page['add-button'], async () => {
    const { id } = await api.addPerson(page.name.value)
    page.name.value = ''
    await load()
    choose(id, page.to.value === id ? '' : page.to.value)
    page.way.textContent = `${nameOf(id)} is there, and knows nobody yet.`
  })
}

page['half-way'].onclick = () => act(page['half-way'], async () => {
  const before = countText()
  try {
    await api.failHalfWay('A stranger', page.from.value)
  } catch (error) {
    if (error.steps === undefined || error.steps.length === 0) throw error
    page.steps.replaceChildren(
      ...error.steps.map((text) => item(text, 'undone')),
      item('Another person of the same name: refused by the database', 'failed'))
  }
  await load()
  page.verdict.textContent = `Before: ${before}. After: ${countText()}.`
  page.half.hidden = false
  page.half.scrollIntoView({ block: 'nearest' })
})

/** A tap in the drawing fills the lists in turns. */
function pick (id) {
  const { value: from } = page.from
  const { value: to } = page.to
  if (next === 'from') choose(id, to === id ? from : to)
  else choose(from === id ? to : from, id)
  next = next === 'from' ? 'to' : 'from'
}

function choose (from, to) {
  page.from.value = from
  page.to.value = to
  drawing.pick(from, to)
  drawing.showWay([])
  page.way.textContent = ''
  page.half.hidden = true
  enable()
}

/** One after the other: what was asked for last is shown last. */
function load () {
  loaded = loaded.then(loadOnce, loadOnce)
  return loaded
}

async function loadOnce () {
  graph = await api.graph()
  drawing.show(graph)
  page.counts.textContent = countText()
  const [from, to] = [page.from.value, page.to.value]
  for (const list of [page.from, page.to]) list.replaceChildren(...graph.people.map(({ id, name }) => new window.Option(name, id)))
  const known = (id) => graph.people.some((person) => person.id === id)
  if (!known(from) || !known(to)) return choose(graph.people[0]?.id ?? '', graph.people.at(-1)?.id ?? '')
  page.from.value = from
  page.to.value = to
}

/** Does something, one thing at a time, and says what went wrong. What was said before is old then. */
async function act (button, work) {
  isBusy = true
  enable()
  button.ariaBusy = 'true'
  page.way.textContent = ''
  page.half.hidden = true
  trouble.clear()
  try {
    await work()
  } catch (error) {
    trouble.tell(error)
  } finally {
    button.ariaBusy = null
    isBusy = false
    enable()
  }
}

function enable () {
  const two = page.from.value !== page.to.value && page.from.value !== '' && page.to.value !== ''
  page.path.disabled = page.connect.disabled = isBusy || !two
  page['half-way'].disabled = isBusy || page.from.value === ''
  page['add-button'].disabled = isBusy
}

function nameOf (id) {
  return graph.people.find((person) => person.id === id)?.name ?? 'someone'
}

function countText () {
  return `${count(graph.people.length, 'person', 'people')}, ${count(graph.acquaintances.length, 'acquaintance')}`
}

function count (number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`
}

function item (text, className) {
  const made = document.createElement('li')
  made.className = className
  const inner = document.createElement('span')
  inner.textContent = text
  made.append(inner)
  return made
}

// The stream begins with a first look.
follow('events', { changed: () => load().then(enable, (error) => trouble.tell(error)) })
