// Does some steps with fhir-kit-client, with the bearer token TOKEN; writes what it made of each answer as a line of JSON.
//
//   node fhir-kit-client.mjs BASE STEPS.json      [{"verb": "capability|transaction|create", "type": …, "body": …}, …]
import { readFileSync } from 'node:fs';
import { Client } from 'fhir-kit-client';

const [baseUrl, file] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken: process.env.TOKEN });

const step = {
  capability: () => client.capabilityStatement(),
  transaction: ({ body }) => client.transaction({ body }),
  create: ({ type, body }) => client.create({ resourceType: type, body }),
};

for (const asked of JSON.parse(readFileSync(file, 'utf-8'))) {
  let told;
  try {
    const body = await step[asked.verb](asked);
    const { response } = Client.httpFor(body);
    told = { status: response.status, location: response.headers.get('location'), body };
  } catch (error) {
    if (!error.response) throw error;
    told = { status: error.response.status, location: null, body: error.response.data };
  }
  console.log(JSON.stringify(told));
}
