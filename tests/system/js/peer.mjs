// js-libp2p as a peer: serves echo, sink and source; dials what stdin names and uses the same.
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createLibp2p } from 'libp2p'
import { tcp } from '@libp2p/tcp'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { multiaddr } from '@multiformats/multiaddr'

const BULK = 8_000_000
const CHUNK = 60_000
const payload = Uint8Array.from({ length: BULK }, (_, i) => (i * 31 + (i >> 8)) & 0xff)
const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex')
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')

async function sendAll (stream, bytes) {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    if (!stream.send(bytes.subarray(at, at + CHUNK))) {
      await new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))
    }
  }
}

async function readAll (stream) {
  const parts = []
  for await (const chunk of stream) parts.push(Buffer.from(chunk.subarray()))
  return Buffer.concat(parts)
}

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false }
})

await node.handle('/echo/1', async (stream) => {
  for await (const chunk of stream) await sendAll(stream, chunk.subarray())
  await stream.close()
})
await node.handle('/sink/1', async (stream) => {
  stream.send(Buffer.from(digestOf(await readAll(stream))))
  await stream.close()
})
await node.handle('/source/1', async (stream) => {
  await sendAll(stream, payload)
  await stream.close()
})

async function use (address) {
  const connection = await node.dial(multiaddr(address))
  const echo = await connection.newStream('/echo/1')
  echo.send(Buffer.from('hello from js'))
  await echo.close()
  const echoed = (await readAll(echo)).toString()
  const sink = await connection.newStream('/sink/1')
  await sendAll(sink, payload)
  await sink.close()
  const sunk = (await readAll(sink)).toString()
  const source = await connection.newStream('/source/1')
  await source.close()
  const sourced = digestOf(await readAll(source))
  await connection.close()
  return { echoed, sunk, sourced, encryption: connection.encryption, muxer: connection.multiplexer }
}

say({ addresses: node.getMultiaddrs().map(String), digest: digestOf(payload) })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'stop') break
  try {
    say(await use(line))
  } catch (error) {
    say({ error: String(error) })
  }
}
await node.stop()
process.exit(0)
