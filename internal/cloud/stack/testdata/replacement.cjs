// Prints, for each resource type that is given, which properties replace the
// resource when they change, as @aws-cdk/aws-service-spec has it: "yes" or
// "maybe". A property that is not named is updated in place.
//
//   node replacement.cjs TYPE...
'use strict';
const { loadAwsServiceSpecSync } = require('@aws-cdk/aws-service-spec');

const db = loadAwsServiceSpecSync();
const table = {};
for (const type of process.argv.slice(2).sort()) {
  const found = db.lookup('resource', 'cloudFormationType', 'equals', type);
  if (found.length !== 1) throw new Error(`${type}: ${found.length} types of that name`);
  const row = {};
  for (const [name, p] of Object.entries(found[0].properties).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (p.causesReplacement === 'yes' || p.causesReplacement === 'maybe') row[name] = p.causesReplacement;
  }
  for (const name of found[0].additionalReplacementProperties ?? []) {
    if (name.length === 1) row[name[0]] = 'yes';
  }
  table[type] = row;
}
console.log(JSON.stringify(table, null, 1));
