// Checks CloudFormation templates against the resource schemas that AWS
// publishes, as @aws-cdk/aws-service-spec carries them: resource types,
// property names at every depth, required properties, kinds of value and
// allowed values. Intrinsic functions pass for any value.
//
//   node spec.cjs TEMPLATE...
//
// Prints one line per problem and the number of resources it looked at.
// Exit codes: 0 no problem, 1 problems.
'use strict';
const fs = require('node:fs');
const { loadAwsServiceSpecSync } = require('@aws-cdk/aws-service-spec');

const db = loadAwsServiceSpecSync();
let problems = 0;
let resources = 0;

function report(where, text) {
  problems++;
  console.log(`${where}: ${text}`);
}

const isIntrinsic = (v) => {
  const keys = v !== null && typeof v === 'object' && !Array.isArray(v) ? Object.keys(v) : [];
  return keys.length === 1 && (keys[0] === 'Ref' || keys[0].startsWith('Fn::'));
};

function checkObject(where, value, properties) {
  for (const [name, v] of Object.entries(value)) {
    if (properties[name] === undefined) report(where, `no property ${name}`);
    else checkValue(`${where}.${name}`, v, properties[name].type);
  }
  for (const [name, p] of Object.entries(properties)) {
    if (p.required && value[name] === undefined) report(where, `required property ${name} is missing`);
  }
}

function checkValue(where, v, type) {
  if (isIntrinsic(v)) return;
  const kind = Array.isArray(v) ? 'array' : typeof v;
  const expect = (ok, what) => ok || report(where, `expected ${what}, found ${JSON.stringify(v)}`);
  switch (type.type) {
    case 'string':
      if (expect(kind === 'string', 'a string') === true && type.allowedValues) {
        expect(type.allowedValues.includes(v), `one of ${type.allowedValues.join(', ')}`);
      }
      break;
    case 'integer':
      expect(Number.isInteger(v), 'an integer');
      break;
    case 'number':
      expect(kind === 'number', 'a number');
      break;
    case 'boolean':
      expect(kind === 'boolean', 'a boolean');
      break;
    case 'array':
      if (expect(kind === 'array', 'a list') === true) v.forEach((e, i) => checkValue(`${where}[${i}]`, e, type.element));
      break;
    case 'map':
      if (expect(kind === 'object', 'a map') === true) {
        for (const [k, e] of Object.entries(v)) checkValue(`${where}.${k}`, e, type.element);
      }
      break;
    case 'tag':
      if (expect(kind === 'object', 'a tag') === true) {
        expect(typeof v.Key === 'string' && v.Value !== undefined, 'Key and Value');
      }
      break;
    case 'ref':
      if (expect(kind === 'object', 'an object') === true) {
        checkObject(where, v, db.get('typeDefinition', type.reference).properties);
      }
      break;
    case 'json':
    case 'union': // no resource of ours has one that its names would not settle
    case 'date-time':
      break;
    default:
      report(where, `spec.cjs does not know the kind ${type.type}`);
  }
}

for (const file of process.argv.slice(2)) {
  const template = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const [id, r] of Object.entries(template.Resources)) {
    if (r.Type.startsWith('Custom::')) continue;
    resources++;
    const where = `${file}: ${id} (${r.Type})`;
    const found = db.lookup('resource', 'cloudFormationType', 'equals', r.Type);
    if (found.length !== 1) {
      report(where, 'no such resource type');
      continue;
    }
    checkObject(where, r.Properties ?? {}, found.only().properties);
  }
}
console.log(`${resources} resources, ${problems} problems`);
process.exitCode = problems === 0 ? 0 : 1;
