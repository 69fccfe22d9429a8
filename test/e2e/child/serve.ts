import { serve } from '../../../src/main';
import { loadConfig } from '../../../src/platform/config/load-config';

/** `chainkeeper serve` from the sources, as a process of its own. */
void serve(loadConfig(process.env));
