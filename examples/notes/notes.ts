import { randomUUID } from 'node:crypto'
import createError from '@fastify/error'
import type { IDocumentSession } from 'ravendb'

export const EmailTakenError = createError('NOTES_EMAIL_TAKEN', 'Somebody writes under %s already.', 409)
export const UnknownNoteError = createError('NOTES_UNKNOWN', 'There is no such note.', 404)
export const UnknownAuthorError = createError('NOTES_UNKNOWN_AUTHOR', 'There is no such author.', 422)

export interface Author {
  name: string
  email: string
}

export interface Note {
  title: string
  text: string
  /** Id of who saved it last. */
  author: string
  savedAt: string
}

/** A document as the page is told of it. */
export type AuthorView = Author & { id: string }
export type NoteView = Note & {
  id: string
  /** Names the version: saving says which one the writer has seen. */
  version: string
}

const notes = 'notes/'
const authors = 'authors/'

export async function allNotes (session: IDocumentSession): Promise<NoteView[]> {
  const found = await session.advanced.loadStartingWith<Note>(notes)
  return found.map((note) => noteView(session, note)).sort((a, b) => a.title.localeCompare(b.title))
}

export async function allAuthors (session: IDocumentSession): Promise<AuthorView[]> {
  const found = await session.advanced.loadStartingWith<Author>(authors)
  return found.map((author) => authorView(session, author)).sort((a, b) => a.name.localeCompare(b.name))
}

/** @throws UnknownNoteError */
export async function findNote (session: IDocumentSession, id: string): Promise<Note> {
  const note = await session.load<Note>(notes + id)
  if (note === null) throw new UnknownNoteError()
  return note
}

/** Changes a note, to be saved only if `version` is still the stored one. */
export async function changeNote (session: IDocumentSession, note: Note, change: Omit<Note, 'savedAt'>, version: string): Promise<void> {
  if (!await session.advanced.exists(change.author)) throw new UnknownAuthorError()
  Object.assign(note, change, { savedAt: new Date().toISOString() })
  await session.store(note, session.advanced.getDocumentId(note), { changeVector: version })
}

export async function writeNote (session: IDocumentSession, title: string, text: string, author: string): Promise<Note> {
  const note: Note = { title, text, author, savedAt: new Date().toISOString() }
  await session.store(note, notes + randomUUID())
  return note
}

/**
 * Takes an e-mail address for a new author, once in the whole cluster: the key of a compare-exchange value exists
 * only once. The session is a cluster-wide one, so that both are saved, or neither.
 *
 * @throws EmailTakenError; where two ask at the same moment it is the commit that fails, with a conflict
 */
export async function signUp (session: IDocumentSession, author: Author): Promise<AuthorView> {
  const { clusterTransaction } = session.advanced
  const key = `emails/${author.email}`
  if (await clusterTransaction.getCompareExchangeValue(key) !== null) throw new EmailTakenError(author.email)
  const id = authors + randomUUID()
  clusterTransaction.createCompareExchangeValue(key, id)
  const stored = { ...author }
  await session.store(stored, id)
  return { ...author, id }
}

export function noteView ({ advanced }: IDocumentSession, note: Note): NoteView {
  const { title, text, author, savedAt } = note
  return { id: advanced.getDocumentId(note).slice(notes.length), version: advanced.getChangeVectorFor(note), title, text, author, savedAt }
}

function authorView ({ advanced }: IDocumentSession, author: Author): AuthorView {
  return { id: advanced.getDocumentId(author), name: author.name, email: author.email }
}
