// Packages from npm lie in the build folder, not beside the scripts: this finds them there.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = join(process.env.OIDC_NODE ?? join(root, 'build', 'node'), 'package.json');

export const load = (name) => import(pathToFileURL(createRequire(folder).resolve(name)));
