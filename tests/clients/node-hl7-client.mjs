// Sends messages, or one batch or file of them, with node-hl7-client; writes each acknowledgment that it hears as a line of JSON.
//
//   node node-hl7-client.mjs PORT messages|batch|file FILE… [-- CA CERTIFICATE KEY]
import { readFileSync } from 'node:fs';
import { Batch, Client, FileBatch, Message } from 'node-hl7-client';

const all = process.argv.slice(2);
const tlsAt = all.indexOf('--');
const [port, form, ...files] = tlsAt < 0 ? all : all.slice(0, tlsAt);
const [ca, certificate, key] = tlsAt < 0 ? [] : all.slice(tlsAt + 1);
const texts = files.map((file) => readFileSync(file, 'utf-8').trimEnd().replaceAll('\n', '\r'));
const tls = ca && { ca: readFileSync(ca), cert: readFileSync(certificate), key: readFileSync(key), servername: 'localhost' };

const envelope = { sep: '|' };
function parcel() {
  if (form === 'messages') return texts.map((text) => new Message({ text }));
  const batch = new Batch(envelope);
  batch.start?.();
  for (const name of ['3', '4', '5', '6']) batch.set(`BHS.${name}`, new Message({ text: texts[0] }).get(`MSH.${name}`).toString());
  batch.set('BHS.11', 'LOT-1');
  for (const text of texts) batch.add(new Message({ text }));
  batch.end();
  if (form === 'batch') return [batch];
  const file = new FileBatch();
  file.start?.();
  for (const name of ['3', '4', '5', '6']) file.set(`FHS.${name}`, new Message({ text: texts[0] }).get(`MSH.${name}`).toString());
  file.set('FHS.11', 'FILE-1');
  file.add(batch);
  file.end();
  return [file];
}

let expected = texts.length;
const client = new Client({ host: '127.0.0.1', ...(tls && { tls }) });
const connection = client.createConnection({ port: Number(port) }, (response) => {
  const message = response.getMessage();
  console.log(JSON.stringify({ code: message.get('MSA.1').toString(), id: message.get('MSA.2').toString() }));
  expected -= 1;
  if (expected === 0) void connection.close().then(() => process.exit(0));
});
connection.on('data.error', (error) => { console.error(error); process.exit(2); });
connection.on('client.error', (error) => { console.error(error); process.exit(3); });
for (const each of parcel()) {
  await connection.sendMessage(each);
  if (form === 'messages') await new Promise((done) => connection.once('client.acknowledged', done));
}
