// Run the examples of connectwise-rest's readme (npm) against the sandbox, and count which of them could.
//
// It is Covenant Technology Solutions' client for Node.js. It has dependencies of its own:
//
//     npm install --prefix readme connectwise-rest
//     python manage.py sandbox --port 8100   # elsewhere
//     NODE_PATH=readme/node_modules node tests/long/clients/connectwise_rest.mjs 127.0.0.1:8100
//
// The client speaks https alone, and the sandbox http: its base URL is given the other scheme. Ids that the readme
// makes up (1234) are replaced by ones that the sandbox has. Its middleware for callbacks can't read any key: axios has
// read the JSON already that it reads once more. So the key is fetched here, and what verifies is the client's. Each
// example has its line; the exit code is 0 where all could.

import { createRequire } from 'node:module'
import { createServer } from 'node:http'
import { once } from 'node:events'
import process from 'node:process'

// NODE_PATH is heeded by `require` alone.
const { ManageAPI, utils } = createRequire(import.meta.url)('connectwise-rest')
const host = process.argv[2]
const login = { companyId: 'acme', publicKey: 'PUB', privateKey: 'PRIV', clientId: '11111111-2222-4333-8444-555555555555' }

function connect(more = {}) {
  const client = new ManageAPI({ companyUrl: host, ...login, ...more })
  for (const { instance } of [client, ...Object.values(client)].filter((each) => each?.instance)) {
    instance.defaults.baseURL = instance.defaults.baseURL.replace('https:', 'http:')
  }
  return client
}

function check(truth, ...evidence) {
  if (!truth) throw new Error(`not as expected: ${JSON.stringify(evidence)}`)
}

const cwm = connect({ entryPoint: 'v4_6_release', apiVersion: '3.0.0', timeout: 20000, retry: false, debug: false })

const examples = {
  'usage: a ticket by its id': async () => {
    const ticket = await cwm.ServiceAPI.getServiceTicketsById(123)
    check(ticket.id === 123 && ticket.summary && ticket.status.name, ticket)
  },

  'options: retries, and a logger': async () => {
    const lines = []
    const options = { retries: 4, minTimeout: 50, maxTimeout: 20000, randomize: true }
    const patient = connect({ retry: true, retryOptions: options, logger: (level, text) => lines.push([level, text]) })
    check((await patient.SystemAPI.getSystemInfo()).version)
    check(lines.length === 1 && lines[0][0] === 'info', lines)
  },

  'pagination: all records in order': async () => {
    const { count } = await cwm.ServiceAPI.getServiceTicketsCount({})
    const all = await cwm.paginate(cwm.ServiceAPI.getServiceTickets, { startPage: 1, pageSize: 100 }, {})
    check(new Set(all.map(({ id }) => id)).size === count && all.length === count, all.length, count)
    const late = await cwm.paginate(cwm.ServiceAPI.getServiceTickets, { startPage: 3, pageSize: 100 }, {})
    check(late.length === count - 200, late.length, count)
  },

  'without typings: a request by its path': async () => {
    const params = { conditions: 'id<=3', fields: 'id' }
    const found = await cwm.request({ path: '/company/contacts', method: 'get', params })
    check(JSON.stringify(found) === '[{"id":1},{"id":2},{"id":3}]', found)
    const made = await cwm.request({ path: '/company/contacts', method: 'post', data: { firstName: 'Zoë' } })
    check(made.firstName === 'Zoë' && made.id > 0, made)
  },

  'a hosted site: another entry point': async () => {
    const hosted = connect({ entryPoint: 'v2025_1' })
    check((await hosted.CompanyAPI.getCompanyCompaniesById(1)).id === 1)
  },

  'create a ticket on a board': async () => {
    const board = (await cwm.ServiceAPI.getServiceBoards({}))[0]
    const company = await cwm.CompanyAPI.getCompanyCompaniesById(1)
    const made = await cwm.ServiceAPI.postServiceTickets({
      summary: 'This is the summary',
      board: { name: board.name },
      company: { identifier: company.identifier },
      initialDescription: 'ticket description',
      recordType: 'ServiceTicket',
    })
    check(made.id > 0 && made.summary === 'This is the summary', made)
    const read = await cwm.ServiceAPI.getServiceTicketsById(made.id)
    check(read.board.name === board.name && read.company.identifier === company.identifier, read)
  },

  'change the status of a ticket': async () => {
    const board = (await cwm.ServiceAPI.getServiceTicketsById(5)).board
    const statuses = await cwm.ServiceAPI.getServiceBoardsByParentIdStatuses(board.id, {})
    const wanted = statuses.at(-1)
    const done = await cwm.ServiceAPI.patchServiceTicketsById(5, [{ op: 'replace', path: 'status', value: { id: wanted.id } }])
    check(done.status.id === wanted.id, done)
    check((await cwm.ServiceAPI.getServiceTicketsById(5)).status.id === wanted.id)
  },

  'conditions, the valid example': async () => {
    const conditions = '(contact/name like "F%" and closedFlag = false) and dateEntered > [2015-12-23T05:53:27Z] or summary contains "mailbox" AND  summary != "Some Summary"'
    const found = await cwm.ServiceAPI.getServiceTickets({ conditions, pageSize: 1000 })
    check(found.length > 0, found.length)
    check(found.every((ticket) => ticket.contact?.name?.startsWith('F') || /mailbox/i.test(ticket.summary)), found[0])
  },

  'conditions, the error of invalid ones': async () => {
    const refused = await cwm.ServiceAPI.getServiceTickets({ conditions: 'closedFlag = 5' }).then(() => null, (error) => error)
    check(refused?.status === 400 && refused.data.message.startsWith('Expected a boolean value'), refused)
  },

  'callbacks: their signature is verified': async () => {
    const heard = []
    const server = createServer(async (request, response) => {
      const parts = await request.toArray()
      heard.push([JSON.parse(Buffer.concat(parts)), request.headers['x-content-signature']])
      response.writeHead(200).end()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    try {
      const url = `http://127.0.0.1:${server.address().port}/your/callback?recordId=`
      const entry = await cwm.SystemAPI.postSystemCallbacks({ url, objectId: 1, type: 'contact', level: 'owner' })
      await cwm.CompanyAPI.patchCompanyContactsById(7, [{ op: 'replace', path: 'title', value: `Owner ${Date.now()}` }])
      for (let tries = 0; tries < 50 && !heard.length; tries++) await new Promise((resolve) => setTimeout(resolve, 100))
      await cwm.SystemAPI.deleteSystemCallbacksById(entry.id)
      check(heard.length === 1, heard)
      const [[body, signature]] = heard
      const { signing_key: key } = await (await fetch(body.Metadata.key_url)).json()
      check(body.Action === 'updated' && body.ID === 7 && utils.Callback.verifyMessage(body, signature, key), body)
      check(!utils.Callback.verifyMessage({ ...body, ID: 8 }, signature, key), 'a forged body')
    } finally {
      server.close()
      server.closeAllConnections()
    }
  },
}

let passed = 0
for (const [name, example] of Object.entries(examples)) {
  try {
    await example()
    passed += 1
    console.log(`${name}: done`)
  } catch (error) {
    console.log(`${name} could not: ${error instanceof Error ? error.stack.split('\n').slice(0, 3).join(' ') : JSON.stringify(error)}`)
  }
}
console.log(`${passed} of ${Object.keys(examples).length} examples ran.`)
process.exit(passed === Object.keys(examples).length ? 0 : 1)
