import { connect } from "node:tls";
import { arrive, colours, expect, link, schedule, test, until } from "./greenroom.ts";

test.use({ access: "gateway", issuer: "acme" });

// serial is that of the certificate that a new connection to the desktop's name is shown.
function serial(address: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: Number(address.port), servername: address.hostname, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

test("the edge's certificate from an ACME authority is renewed while a session goes on", async ({ greenroom, people }) => {
  const organiser = await people("organiser");
  const student = await people("student");
  const closed: string[] = [];
  const sockets: string[] = [];
  student.on("websocket", (ws) => {
    if (!ws.url().includes("websockify")) return; // the lobby's check has one, too
    sockets.push(ws.url());
    ws.on("close", () => closed.push(ws.url()));
  });
  await schedule(organiser, greenroom.url, "Renewal");
  await arrive(student, await link(organiser, "Student"));
  await student.waitForURL(/^https:\/\/i-[0-9a-f]{17}\.desk\.localhost:/, { timeout: 90_000 });
  await until("a painted desktop", async () => (await colours(student)) > 2);
  const address = new URL(student.url());
  const first = await serial(address);
  await until("another certificate", async () => (await serial(address)) !== first, 90);

  // The session is the same, and still takes what is typed.
  const before = await colours(student);
  await student.locator("canvas").click();
  await student.keyboard.type("printf '\\e[41m renewed \\e[42m here \\e[0m'\n", { delay: 15 });
  await until("what was typed", async () => (await colours(student)) > before);
  expect(sockets).toHaveLength(1);
  expect(closed).toEqual([]);

  // Who comes now is shown the new one, which the browser trusts as well.
  const late = await people("late");
  await arrive(late, await link(organiser, "Teacher"));
  await late.waitForURL(/^https:\/\/i-[0-9a-f]{17}\.desk\.localhost:/, { timeout: 60_000 });
  await until("a painted desktop", async () => (await colours(late)) > 2);
  expect(closed).toEqual([]);
});
