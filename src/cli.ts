import 'reflect-metadata';
import { runProgram } from './cli/run-program';

void runProgram(process.argv.slice(2));
