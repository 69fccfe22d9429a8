import { describeTransport } from './job-transport.contract';

describeTransport('looking in the database', () => ({}));
