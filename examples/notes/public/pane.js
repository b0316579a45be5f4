import * as api from './api.js'
import { compare, together } from './lines.js'
import { option } from './option.js'

const time = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const parts = ['author', 'state', 'title', 'text', 'save', 'reload', 'version', 'conflict', 'mine', 'theirs', 'keep-mine', 'take-theirs', 'keep-both']
const template = document.querySelector('#pane').content

/** One person's desk: a note as they loaded it, what they made of it since, and the conflict if there is one. */
export class Pane {
  /** The note as it was loaded or saved here last; its version is what a save says it has seen. */
  #seen
  /** What is stored instead, after a save that was refused. */
  #theirs
  /** Whether what is seen here was saved here. */
  #isSaved = false
  #isOlder = false
  #parts
  #nameOf

  /** @param nameOf gives an author's name */
  constructor (place, nameOf) {
    place.append(document.importNode(template, true))
    this.element = place.lastElementChild
    this.#nameOf = nameOf
    this.#parts = Object.fromEntries(parts.map((name) => [name, this.element.querySelector(`.${name}`)]))
    const { title, text, save, reload, author } = this.#parts
    title.oninput = text.oninput = () => this.#show()
    author.onchange = () => this.#label()
    save.onclick = () => this.act(() => this.save())
    reload.onclick = () => this.act(() => this.load(this.#seen.id))
    this.#parts['keep-mine'].onclick = () => this.act(() => this.#settle(this.#mine()))
    this.#parts['take-theirs'].onclick = () => this.act(() => this.#open(this.#theirs))
    this.#parts['keep-both'].onclick = () => this.act(() => this.#together())
  }

  /** Listeners of `problem` are told of failures. */
  async act (work) {
    this.#busy(true)
    try {
      await work()
    } catch (error) {
      this.element.dispatchEvent(new CustomEvent('problem', { bubbles: true, detail: error }))
    } finally {
      this.#busy(false)
      this.#show()
    }
  }

  async load (id) {
    this.#open(await api.note(id))
  }

  /** Saves what is written here. A refusal opens the conflict. */
  async save () {
    try {
      this.#open(await api.save(this.#seen.id, { ...this.#mine(), version: this.#seen.version }), true)
      this.element.dispatchEvent(new CustomEvent('saved', { bubbles: true, detail: this.#seen }))
    } catch (error) {
      if (error.theirs === undefined) throw error
      this.#conflict(error.theirs)
    }
  }

  /** What was saved elsewhere: what is seen here may be older now. */
  hear ({ id, version }) {
    if (id !== this.#seen.id || version === this.#seen.version) return
    this.#isOlder = true
    this.#show()
  }

  /** Writes a line below the text. */
  add (line) {
    const { text } = this.#parts
    text.value = `${text.value.trimEnd()}\n${line}`.trimStart()
    text.scrollTop = text.scrollHeight
  }

  get isOlder () { return this.#isOlder }

  get hasChanges () {
    const { title, text } = this.#mine()
    return this.#theirs !== undefined || title !== this.#seen.title || text !== this.#seen.text
  }

  /** @param chosen id of the author who writes here, if nobody does yet */
  offer (authors, chosen) {
    const { author } = this.#parts
    const before = author.value || chosen
    author.replaceChildren(...authors.map(({ id, name }) => option(id, name, id === before)))
    this.#label()
  }

  get author () { return this.#parts.author.value }

  #mine () {
    const { title, text, author } = this.#parts
    return { title: title.value, text: text.value, author: author.value }
  }

  #open (note, isSaved = false) {
    this.#seen = note
    this.#theirs = undefined
    this.#isSaved = isSaved
    this.#isOlder = false
    this.#parts.title.value = note.title
    this.#parts.text.value = note.text
    this.#show()
  }

  #conflict (theirs) {
    this.#theirs = theirs
    const rows = compare(whole(this.#mine()), whole(theirs))
    this.#parts.mine.replaceChildren(...linesOf(rows, 'mine'))
    this.#parts.theirs.replaceChildren(...linesOf(rows, 'theirs'))
    this.#show()
    this.#parts.conflict.focus()
  }

  /** Saves over what is stored now: this time it has been seen. */
  async #settle (mine) {
    this.#seen = { ...this.#theirs }
    Object.assign(this.#parts.title, { value: mine.title })
    Object.assign(this.#parts.text, { value: mine.text })
    await this.save()
  }

  /** Both texts in one, to be read over and saved. */
  #together () {
    this.#parts.text.value = together(this.#seen.text, this.#mine().text, this.#theirs.text)
    this.#seen = { ...this.#theirs }
    this.#theirs = undefined
    this.#isSaved = this.#isOlder = false
    this.#parts.text.focus()
  }

  #show () {
    const { conflict, state, version, save, reload } = this.#parts
    if (this.#seen === undefined) return
    conflict.hidden = this.#theirs === undefined
    save.hidden = reload.hidden = version.hidden = this.#theirs !== undefined
    this.element.classList.toggle('torn', this.#theirs !== undefined)
    const [name, words] = this.#state()
    state.dataset.state = name
    state.textContent = words
    version.textContent = `Version ${versionName(this.#seen.version)}, by ${this.#nameOf(this.#seen.author)}`
    if (this.#theirs === undefined) return
    const { author, savedAt } = this.#theirs
    conflict.querySelector('h3').textContent = `${this.#nameOf(author)} saved this note while you wrote`
    const [mine, theirs] = conflict.querySelectorAll('figcaption')
    mine.textContent = 'Yours'
    theirs.textContent = `${this.#nameOf(author)}’s, saved at ${time.format(new Date(savedAt))}`
  }

  #state () {
    if (this.#theirs !== undefined) return ['conflict', 'Not saved']
    if (this.hasChanges) return ['changed', 'Not saved yet']
    if (this.#isOlder) return ['older', 'An older version: load the stored one']
    return ['clean', this.#isSaved ? `Saved at ${clock.format(new Date(this.#seen.savedAt))}` : 'No changes here']
  }

  #label () {
    const { author } = this.#parts
    const text = `${author.selectedOptions[0]?.text ?? 'Nobody'} writes`
    this.element.setAttribute('aria-label', text)
    this.element.querySelector('h2').textContent = text
  }

  #busy (busy) {
    for (const button of this.element.querySelectorAll('button')) button.disabled = busy
  }
}

function whole ({ title, text }) {
  return `${title}\n\n${text}`
}

function linesOf (rows, side) {
  return rows.filter((row) => row.in === 'both' || row.in === side).map((row) => {
    const line = document.createElement('p')
    line.textContent = row.text === '' ? ' ' : row.text
    if (row.in === side) line.className = 'own'
    return line
  })
}

/** `RAFT:2, A:4`: a change vector without the databases' ids, which are the same in all of them. */
function versionName (version) {
  return version.replace(/-[^,]*/g, '')
}
