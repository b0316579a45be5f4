import { byId } from '/shared/dom.js'
import { Trouble } from '/shared/trouble.js'
import * as api from './api.js'
import { option } from './option.js'
import { Pane } from './pane.js'

const page = byId()
const outage = 'RavenDB cannot be reached right now. What you did last may not have been saved: please look again in a moment.'
const [trouble, signUpTrouble] = [new Trouble(page.problem, outage), new Trouble(page['sign-up-problem'], outage)]
const presents = ['the music', 'a cake', 'a ladder', 'plums', 'a long table', 'sparklers']
let suggested = 0
let authors = []

const nameOf = (id) => authors.find((author) => author.id === id)?.name ?? 'someone'
const panes = [new Pane(page.panes, nameOf), new Pane(page.panes, nameOf)]

page.panes.addEventListener('click', () => trouble.clear())
page.panes.addEventListener('problem', ({ detail }) => trouble.tell(detail))
page.panes.addEventListener('saved', ({ target, detail }) => {
  for (const pane of panes) if (pane.element !== target) pane.hear(detail)
  return attempt(trouble, listNotes)
})

page.notes.onchange = () => openInBoth(page.notes.value)
page.try.onclick = async () => {
  trouble.clear()
  await suggest()
  for (const pane of panes) await pane.act(() => pane.save())
}
page.both.onclick = async () => {
  trouble.clear()
  await suggest()
  await Promise.all(panes.map((pane) => pane.act(() => pane.save())))
}

/** Each pane that has changed nothing gets a change of its own to save. */
async function suggest () {
  await Promise.all(panes.map((pane) => pane.hasChanges || pane.act(async () => {
    if (pane.isOlder) await pane.load(page.notes.value)
    pane.add(`${nameOf(pane.author)} brings ${presents[suggested++ % presents.length]}.`)
  })))
}

page['new-note'].onsubmit = (event) => {
  event.preventDefault()
  return attempt(trouble, async () => {
    const { id } = await api.addNote(page.title.value.trim(), panes[0].author)
    page.title.value = ''
    await listNotes()
    page.notes.value = id
    await openInBoth(id)
  })
}

page['sign-up'].onsubmit = (event) => {
  event.preventDefault()
  return attempt(signUpTrouble, async () => {
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

async function attempt (trouble, work) {
  trouble.clear()
  try {
    await work()
  } catch (error) {
    trouble.tell(error)
  }
}

await attempt(trouble, async () => {
  await listAuthors()
  await listNotes()
  await openInBoth(page.notes.value)
  await suggest()
})
document.body.dataset.ready = 'true'
