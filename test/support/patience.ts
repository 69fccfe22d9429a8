// These tests wait for servers and processes; on a machine that does much else besides, 5 s are over before anything is wrong.
jest.setTimeout(120_000);
