// Reads the answers of container engines that speak REST: JSON checked, errors in their own words. Decides nothing about containers.
import { z } from 'zod';
import { RuntimeUnavailable } from '../../ports/container-runtime.ts';
import type { EngineAnswer } from './engine-socket.ts';

/** Docker's and Podman's errors alike. */
const ErrorAnswer = z.object({ message: z.string() });

/** The message of an error answer, or its text when it is no JSON of an engine. */
export function errorText({ status, text }: EngineAnswer): string {
  const parsed = ErrorAnswer.safeParse(parseJson(text));
  return parsed.success ? parsed.data.message : `status ${status}: ${text.slice(0, 2048)}`;
}

/** The answer to a GET of `path`. Throws RuntimeUnavailable for any status but 200, and for what `schema` does not accept. */
export function parseAnswer<T>(answer: EngineAnswer, schema: z.ZodType<T>, path: string): T {
  if (answer.status !== 200) throw new RuntimeUnavailable(`GET ${path}: ${errorText(answer)}`);
  const parsed = schema.safeParse(parseJson(answer.text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new RuntimeUnavailable(
    `GET ${path}: unexpected answer at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
