// Sends messages one after another with simple-hl7 over one connection; writes each answer as a line of JSON.
//
//   node simple-hl7.mjs PORT FILE…
import { readFileSync } from 'node:fs';
import hl7 from 'simple-hl7';

const [port, ...files] = process.argv.slice(2);
const client = hl7.Server.createTcpClient({ host: '127.0.0.1', port: Number(port), keepalive: true });
const parser = new hl7.Parser({ segmentSeperator: '\r' });
const ask = (message) =>
  new Promise((done, failed) => { client.send(message, (error, answer) => (error ? failed(error) : done(answer))); });
for (const file of files) {
  const message = parser.parse(readFileSync(file, 'utf-8').trimEnd().replaceAll('\n', '\r'));
  const answer = await ask(message);
  const msa = answer.getSegment('MSA');
  console.log(JSON.stringify({ code: msa.getComponent(1, 1), id: msa.getComponent(2, 1), receipt: msa.getComponent(3, 1) }));
}
client.close();
