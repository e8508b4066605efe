// Run by Node within Uptime Kuma's own container, with `input` put in front: {port, password, urls: [], portals: [{name, url}]}.
// Makes the first user where there is none, logs in, adds the monitors that are missing, and prints one line of JSON.
// By the socket that Uptime Kuma's own pages use (needSetup, setup, login, monitorList, add); it has no other way in.
"use strict";
const { io } = require("socket.io-client");
const user = "admin";
const socket = io("http://127.0.0.1:" + input.port, { reconnection: true, reconnectionDelayMax: 2000, timeout: 5000 });
const end = (answer) => {
    console.log("chiffon:" + JSON.stringify(answer));
    process.exit(0);
};
setTimeout(() => end({ error: "it did not answer within three minutes" }), 180000);
const ask = (word, ...values) =>
    new Promise((resolve) => socket.emit(word, ...values, (answer) => resolve(answer === undefined ? {} : answer)));

// Every field without a default of its own. `conditions` is known from version 2.0 on.
function monitor({ name, url }, conditions) {
    const fields = {
        name: name.slice(0, 150), type: "http", url, method: "GET", interval: 60, retryInterval: 60, resendInterval: 0, maxretries: 1,
        timeout: 48, maxredirects: 10, accepted_statuscodes: ["200-299"], notificationIDList: {}, ignoreTls: false,
        upsideDown: false, expiryNotification: true, kafkaProducerBrokers: [], kafkaProducerSaslOptions: { mechanism: "None" },
        rabbitmqNodes: [],
    };
    if (conditions) {
        fields.conditions = [];
    } else {
        delete fields.rabbitmqNodes;
    }
    const port = /^tcp:\/\/([^/:]+):([0-9]+)$/.exec(url);
    return port ? { ...fields, type: "port", url: "https://", hostname: port[1], port: Number(port[2]) } : fields;
}

const known = (one) => (one.type === "port" ? `tcp://${one.hostname}:${one.port}` : (one.url || "").replace(/\/$/, ""));

async function work() {
    const list = new Promise((resolve) => socket.on("monitorList", resolve));
    if (await ask("needSetup") === true) {
        const made = await ask("setup", user, input.password);
        if (!made.ok) {
            return end({ error: "its first user could not be made: " + made.msg });
        }
    }
    const entered = await ask("login", { username: user, password: input.password, token: "" });
    if (!entered.ok) {
        return end({ error: entered.tokenRequired ? "its user has a second factor" : "its user was made by somebody else, or has another password" });
    }
    const there = new Set(Object.values(await list).map(known));
    const added = [];
    const wanted = input.urls.map((url) => ({ name: url.split("://")[1], url })).concat(input.portals);
    for (const one of wanted) {
        if (there.has(one.url.replace(/\/$/, ""))) {
            continue;
        }
        let answer = await ask("add", monitor(one, true));
        if (!answer.ok) {
            answer = await ask("add", monitor(one, false));
        }
        if (!answer.ok) {
            return end({ error: one.url + " could not be added: " + answer.msg, added });
        }
        there.add(one.url.replace(/\/$/, ""));
        added.push(one.url);
    }
    end({ added, monitors: there.size });
}
socket.once("connect", () => work().catch((error) => end({ error: String(error) })));
