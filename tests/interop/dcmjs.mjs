// dcmjs-dimse as a peer. Started by test_dcmjs.py: node dcmjs.mjs DICOM_PORT AET SCP_PORT FILE...
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';

const require = createRequire(import.meta.url);
const dimse = require('dcmjs-dimse');
const { CEchoRequest, CFindRequest, CStoreRequest, CGetRequest, CMoveRequest } = dimse.requests;
const { CStoreResponse } = dimse.responses;
const { Status, PresentationContextResult } = dimse.constants;
dimse.log.level = 'error';

const [dicomPort, aet, scpPort, ...files] = process.argv.slice(2);

// Sends requests on one association; resolves with all responses when it ends.
function send(requests, onStore) {
  return new Promise((resolve, reject) => {
    const client = new dimse.Client();
    const responses = [];
    for (const request of requests) {
      request.on('response', (response) => responses.push(response));
      client.addRequest(request);
    }
    client.on('networkError', reject);
    client.on('associationRejected', (result) => reject(new Error(`rejected: ${JSON.stringify(result)}`)));
    client.on('closed', () => resolve(responses));
    if (onStore) client.on('cStoreRequest', onStore);
    client.send('127.0.0.1', Number(dicomPort), 'DCMJS', aet, { associationTimeout: 30000, pduTimeout: 30000 });
  });
}

const final = (responses) => responses.filter((r) => r.getStatus() !== Status.Pending);

async function storesAndEchoes() {
  const responses = await send([new CEchoRequest(), ...files.map((file) => new CStoreRequest(file))]);
  assert.equal(responses.length, files.length + 1);
  for (const response of responses) assert.equal(response.getStatus(), Status.Success);
}

async function finds() {
  const responses = await send([CFindRequest.createStudyFindRequest({ PatientID: 'DCMJS1', PatientName: '' })]);
  const found = responses.filter((r) => r.getStatus() === Status.Pending).map((r) => r.getDataset().getElements());
  assert.equal(found.length, 2);
  return found[0].StudyInstanceUID;
}

async function gets(study) {
  let received = 0;
  const responses = await send([CGetRequest.createStudyGetRequest(study)], (request, callback) => {
    received++;
    assert.equal(request.getDataset().getElements().StudyInstanceUID, study);
    const response = CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  });
  assert.equal(final(responses)[0].getStatus(), Status.Success);
  assert.equal(received, files.length / 2);
}

async function moves(study) {
  let received = 0;
  class Destination extends dimse.Scp {
    associationRequested(association) {
      for (const { id } of association.getPresentationContexts()) {
        const context = association.getPresentationContext(id);
        context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
      }
      this.sendAssociationAccept();
    }
    cStoreRequest(request, callback) {
      received++;
      const response = CStoreResponse.fromRequest(request);
      response.setStatus(Status.Success);
      callback(response);
    }
    associationReleaseRequested() {
      this.sendAssociationReleaseResponse();
    }
  }
  const server = new dimse.Server(Destination);
  server.listen(Number(scpPort));
  const responses = await send([CMoveRequest.createStudyMoveRequest('DCMJSSCP', study)]);
  server.close();
  assert.equal(final(responses)[0].getStatus(), Status.Success);
  assert.equal(received, files.length / 2);
}

await storesAndEchoes();
const study = await finds();
await gets(study);
await moves(study);
console.log('dcmjs-dimse echoes, stores, finds, gets and moves');
process.exit(0);
