import type { SimulatedDayDto } from '../retention/dto/simulation.dto';
import { inSpans } from './retention';

const day = (date: number): SimulatedDayDto => ({
  date: `2026-12-0${date}T00:00:00.000Z`,
  ...{ points: date, bytes: 10 * date, fulls: 1, incrementals: 2, bytesWritten: 3, removed: 4, bytesFreed: 5, longestGap: date },
});

describe('days of a simulation', () => {
  it('are put together after today, the last row with what is left, and no byte is lost', () => {
    const rows = inSpans([1, 2, 3, 4].map(day), 2);
    expect(rows.map(({ date, points, bytes, longestGap }) => [date.slice(8, 10), points, bytes, longestGap])).toEqual([
      ['01', 1, 10, 1],
      ['03', 3, 30, 3],
      ['04', 4, 40, 4],
    ]);
    expect(rows.map(({ fulls, incrementals }) => [fulls, incrementals])).toEqual([[1, 2], [2, 4], [1, 2]]); // prettier-ignore
    expect(rows.map(({ bytesWritten, removed, bytesFreed }) => [bytesWritten, removed, bytesFreed])).toEqual([
      [3, 4, 5],
      [6, 8, 10],
      [3, 4, 5],
    ]);
    expect(inSpans([], 7)).toEqual([]);
  });
});
