import { byId } from '/shared/dom.js'
import * as api from './api.js'
import { option } from './option.js'
import { Pane } from './pane.js'

const page = byId()
let authors = []

const nameOf = (id) => authors.find((author) => author.id === id)?.name ?? 'someone'
const panes = [new Pane(page.panes, nameOf), new Pane(page.panes, nameOf)]

page.panes.addEventListener('problem', ({ detail }) => tell(page.problem, detail))
page.panes.addEventListener('saved', () => attempt(page.problem, listNotes))

page.notes.onchange = () => openInBoth(page.notes.value)
page.both.onclick = () => Promise.all(panes.map((pane) => pane.act(() => pane.save())))

page['new-note'].onsubmit = (event) => {
  event.preventDefault()
  return attempt(page.problem, async () => {
    const { id } = await api.addNote(page.title.value.trim(), panes[0].author)
    page.title.value = ''
    await listNotes()
    page.notes.value = id
    await openInBoth(id)
  })
}

page['sign-up'].onsubmit = (event) => {
  event.preventDefault()
  return attempt(page['sign-up-problem'], async () => {
    await api.signUp(page.name.value, page.email.value)
    page['sign-up'].reset()
    await listAuthors()
  })
}

async function listAuthors () {
  authors = await api.authors()
  page.authors.replaceChildren(...authors.map(({ name, email }) => {
    const item = document.createElement('li')
    const address = document.createElement('span')
    address.className = 'soft'
    address.textContent = email
    item.append(name, ' ', address)
    return item
  }))
  panes.forEach((pane, i) => pane.offer(authors, authors[i % authors.length]?.id))
}

async function listNotes () {
  const before = page.notes.value
  const notes = await api.notes()
  page.notes.replaceChildren(...notes.map(({ id, title }) => option(id, title, id === before)))
}

async function openInBoth (id) {
  await Promise.all(panes.map((pane) => pane.act(() => pane.load(id))))
}

async function attempt (place, work) {
  try {
    await work()
    tell(place, '')
  } catch (error) {
    tell(place, error.message)
  }
}

function tell (place, message) {
  place.textContent = message
  place.hidden = message === ''
}

await attempt(page.problem, async () => {
  await listAuthors()
  await listNotes()
  await openInBoth(page.notes.value)
})
document.body.dataset.ready = 'true'
