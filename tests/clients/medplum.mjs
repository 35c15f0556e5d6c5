// Sends messages with @medplum/hl7, all at once over one connection (pipelined), each matched with its answer by MSA-2; writes each
// answer as a line of JSON, in the order of the messages. The client takes what one read gives for one message, and so may miss
// the second of two answers: like any sender it sends again what it has no answer to.
//
//   node medplum.mjs PORT first|application FILE…
import { readFileSync } from 'node:fs';
import { Hl7Message } from '@medplum/core';
import { Hl7Client } from '@medplum/hl7';

const [port, returnAck, ...files] = process.argv.slice(2);
const messages = files.map((file) => Hl7Message.parse(readFileSync(file, 'utf-8').trimEnd().replaceAll('\n', '\r')));
const client = new Hl7Client({ host: '127.0.0.1', port: Number(port), keepAlive: true });

async function answerTo(message, tries = 3) {
  try {
    return await client.sendAndWait(message, { timeoutMs: 4000, returnAck });
  } catch (error) {
    if (tries === 1) throw error;
    return answerTo(message, tries - 1);
  }
}

const answers = await Promise.all(messages.map((message) => answerTo(message)));
for (const answer of answers) {
  const msa = answer.getSegment('MSA');
  console.log(JSON.stringify({ code: msa.getComponent(1, 1), id: msa.getComponent(2, 1), receipt: msa.getComponent(3, 1) }));
}
await client.close();
process.exit(0); // its timers outlive their answers
