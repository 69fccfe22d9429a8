import 'reflect-metadata';

// Times are UTC everywhere in the product; a developer's time zone must not change a result.
process.env['TZ'] = 'UTC';
