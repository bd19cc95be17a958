"use strict";
(function () {
  var root = document.documentElement;
  // For whoever checks the page: what went wrong in it, if anything did.
  window.addEventListener("error", function (event) {
    root.setAttribute("data-script-error", String(event.message));
  });

  var SVG = "http://www.w3.org/2000/svg";
  var ROW = 7, GAP = 1, MOST_ROWS = 28, LANE_HEAD = 18, AXIS = 34;

  function svg(name, attributes, parent) {
    var made = document.createElementNS(SVG, name);
    for (var key in attributes) made.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(made);
    return made;
  }
  function html(name, text, parent, className) {
    var made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    if (parent) parent.appendChild(made);
    return made;
  }
  function said(micros) {
    if (micros === 0) return "0";
    if (micros < 1000) return micros + " µs";
    if (micros < 10000) return (micros / 1000).toFixed(1) + " ms";
    if (micros < 1000000) return (micros / 1000).toFixed(0) + " ms";
    return (micros / 1000000).toFixed(2) + " s";
  }

  // Times are microseconds since the run's beginning throughout.
  function read(id) {
    var data = JSON.parse(document.getElementById(id).textContent);
    var text = function (number) { return data.texts[number] || ""; };
    return {
      length: data.length,
      calls: data.calls.map(function (c, number) {
        return {
          number: number, start: c[0], took: c[1], end: c[0] + c[1], client: text(c[2]), service: text(c[3]),
          method: text(c[4]), resource: text(c[5]), status: text(c[6]), message: text(c[7]), waited: c[8],
          attempt: c[9], faults: c[10].map(text)
        };
      }),
      pushes: data.pushes.map(function (p) {
        return { at: p[0], to: text(p[1]), path: text(p[2]), message: p[3], player: text(p[4]), status: p[5] };
      }),
      moments: data.moments.map(function (m) { return { at: m[0], text: m[1], fault: m[2] }; }),
      lines: data.lines.map(function (l) { return { at: l[0], process: text(l[1]), severity: text(l[2]), text: l[3] }; })
    };
  }

  var FILTERS = {
    all: ["all calls", function () { return true; }],
    failed: ["not OK", function (call) { return call.status !== "OK"; }],
    waited: ["waited for locks", function (call) { return call.waited > 0; }],
    faulted: ["hit by a fault", function (call) { return call.faults.length > 0; }]
  };

  // Calls that overlap get rows of their own, so that concurrency is seen as height.
  function pack(calls) {
    var ends = [];
    calls.forEach(function (call) {
      var row = 0;
      while (row < ends.length && ends[row] > call.start) row++;
      // Above the most rows they lie over one another in the last.
      call.row = Math.min(row, MOST_ROWS - 1);
      ends[call.row] = Math.max(ends[call.row] || 0, call.end);
    });
    return Math.max(1, ends.length);
  }

  function Timeline(place) {
    this.place = place;
    this.run = read(place.getAttribute("data-of"));
    this.from = 0;
    this.to = Math.max(1, this.run.length);
    this.filter = "all";
    this.chosen = -1;
    place.textContent = "";
    this.tools();
    this.canvas = svg("svg", {
      tabindex: 0, role: "img",
      "aria-label": "Timeline of " + this.run.calls.length + " calls. Left and right arrow go from call to call, " +
        "plus and minus zoom, Home shows all; the calls are counted by method below."
    }, place);
    this.detail = html("div", "", place, "detail");
    this.detail.setAttribute("aria-live", "polite");
    this.hint();
    this.legend();
    this.listen();
    this.draw();
  }

  Timeline.prototype.tools = function () {
    var bar = html("div", "", this.place, "tools"), self = this;
    [["−", "zoom out", function () { self.zoom(2); }], ["+", "zoom in", function () { self.zoom(0.5); }],
     ["←", "earlier", function () { self.pan(-0.3); }], ["→", "later", function () { self.pan(0.3); }],
     ["whole run", "", function () { self.show(0, self.run.length); }]].forEach(function (tool) {
      var button = html("button", tool[0], bar);
      button.type = "button";
      if (tool[1]) { button.title = tool[1]; button.setAttribute("aria-label", tool[1]); }
      button.addEventListener("click", tool[2]);
    });
    var select = html("select", "", bar);
    select.setAttribute("aria-label", "which calls are shown");
    Object.keys(FILTERS).forEach(function (key) {
      var count = self.run.calls.filter(FILTERS[key][1]).length;
      html("option", FILTERS[key][0] + " (" + count + ")", select).value = key;
    });
    select.addEventListener("change", function () { self.filter = select.value; self.chosen = -1; self.draw(); });
  };

  Timeline.prototype.hint = function () {
    this.detail.textContent = "Choose a call to read it; drag over a stretch to look closer.";
  };

  Timeline.prototype.legend = function () {
    var list = html("ul", "", this.place, "key");
    [["firestore", "Firestore"], ["pubsub", "Pub/Sub"], ["bigquery", "BigQuery"], ["waiting", "wait for locks (its share)"],
     ["failed", "not OK (×)"], ["hit", "hit by a fault"]].forEach(function (entry) {
      var item = html("li", "", list);
      html("i", "", item, entry[0]).setAttribute("aria-hidden", "true");
      item.appendChild(document.createTextNode(entry[1]));
    });
  };

  Timeline.prototype.shown = function () { return this.run.calls.filter(FILTERS[this.filter][1]); };

  Timeline.prototype.lanes = function () {
    var lanes = [], byClient = {};
    this.shown().forEach(function (call) {
      if (!byClient[call.client]) lanes.push(byClient[call.client] = { client: call.client, calls: [] });
      byClient[call.client].calls.push(call);
    });
    lanes.sort(function (a, b) { return a.client < b.client ? -1 : 1; });
    return lanes;
  };

  Timeline.prototype.draw = function () {
    var self = this, canvas = this.canvas, width = Math.max(240, this.place.clientWidth - 20);
    var from = this.from, span = Math.max(1, this.to - this.from);
    var x = function (at) { return (at - from) / span * width; };
    while (canvas.firstChild) canvas.removeChild(canvas.firstChild);
    this.width = width;
    this.boxes = [];
    var lanes = this.lanes(), y = AXIS;
    this.axis(x, width);
    lanes.forEach(function (lane) {
      var rows = pack(lane.calls), failed = lane.calls.filter(FILTERS.failed[1]).length;
      svg("line", { x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5, "class": "rule" }, canvas);
      var label = svg("text", { x: 4, y: y + 14, "class": "lane" }, canvas);
      label.textContent = lane.client;
      var sub = svg("tspan", { "class": "sub", dx: 8 }, label);
      sub.textContent = lane.calls.length + " calls" + (failed ? ", " + failed + " not OK" : "");
      y += LANE_HEAD;
      lane.calls.forEach(function (call) { self.call(call, x, y + call.row * (ROW + GAP), width); });
      y += rows * (ROW + GAP) + 6;
    });
    y = this.ticks("pushes to its processes", this.run.pushes, x, y, width, function (push) {
      return "push" + (push.status >= 200 && push.status < 300 || push.status === 102 ? "" : " refused");
    });
    y = this.ticks("warnings and errors logged", this.run.lines, x, y, width, function (line) {
      return "line" + (line.severity === "WARNING" ? "" : " error");
    });
    this.moments(x, y, width);
    if (lanes.length === 0) {
      svg("text", { x: 4, y: y + 14 }, canvas).textContent = "no such call";
      y += 22;
    }
    canvas.setAttribute("viewBox", "0 0 " + width + " " + y);
    canvas.setAttribute("height", y);
    this.height = y;
    this.mark();
  };

  Timeline.prototype.axis = function (x, width) {
    var span = this.to - this.from, about = span / Math.max(2, Math.floor(width / 80));
    var step = Math.pow(10, Math.floor(Math.log(about) / Math.LN10));
    step = Math.max(1, [1, 2, 5, 10].map(function (by) { return by * step; }).filter(function (s) { return s >= about; })[0]);
    for (var at = Math.ceil(this.from / step) * step; at <= this.to; at += step) {
      svg("line", { x1: x(at), x2: x(at), y1: 16, y2: 20, "class": "rule" }, this.canvas);
      var anchor = x(at) > width - 40 ? "end" : x(at) < 20 ? "start" : "middle";
      svg("text", { x: x(at), y: 12, "text-anchor": anchor }, this.canvas).textContent = said(Math.round(at));
    }
  };

  Timeline.prototype.call = function (call, x, y, width) {
    var left = x(call.start), right = x(call.end);
    if (right < 0 || left > width) return;
    left = Math.max(-4, left);
    var wide = Math.max(2, Math.min(width + 4, right) - left), failed = call.status !== "OK";
    svg("rect", {
      x: left, y: y, width: wide, height: ROW, rx: 1.5, "class": "call " + call.service + (failed ? " failed" : "")
    }, this.canvas);
    if (call.waited > 0 && wide > 4) {
      // Where in the call it waited is not known: its share is shown at the front.
      var part = Math.max(2, Math.min(1, call.waited / Math.max(1, call.took)) * wide - 2);
      for (var at = left + 1; at < left + part; at += 4) {
        svg("rect", { x: at, y: y + 1, width: Math.min(2, left + part - at), height: ROW - 2, "class": "wait" }, this.canvas);
      }
    }
    if (failed) {
      var end = Math.max(left + wide, left + 6) - 3;
      svg("path", { d: "M" + (end - 2.5) + " " + (y + 1) + "l5 5m0 -5l-5 5", "class": "cross" }, this.canvas);
    }
    if (call.faults.length) {
      svg("path", { d: "M" + left + " " + (y - 1) + "h6l-3 4z", "class": "hit" }, this.canvas);
    }
    this.boxes.push({ call: call, x: left, y: y, width: wide });
  };

  Timeline.prototype.ticks = function (label, things, x, y, width, className) {
    if (things.length === 0) return y;
    var self = this;
    svg("line", { x1: 0, x2: width, y1: y + 0.5, y2: y + 0.5, "class": "rule" }, this.canvas);
    var text = svg("text", { x: 4, y: y + 14, "class": "lane" }, this.canvas);
    text.textContent = label;
    svg("tspan", { "class": "sub", dx: 8 }, text).textContent = String(things.length);
    y += LANE_HEAD;
    things.forEach(function (thing) {
      var at = x(thing.at);
      if (at < -2 || at > width + 2) return;
      svg("rect", { x: at - 1, y: y, width: 2, height: 12, "class": className(thing) }, self.canvas);
      self.boxes.push({ thing: thing, x: at - 3, y: y - 6, width: 6, tall: 18 });
    });
    return y + 18;
  };

  Timeline.prototype.moments = function (x, bottom, width) {
    var canvas = this.canvas, last = -100;
    this.run.moments.forEach(function (moment, number) {
      var at = x(moment.at);
      if (at < 0 || at > width) return;
      var kind = moment.fault ? " fault" : "";
      svg("line", { x1: at, x2: at, y1: 28, y2: bottom, "class": "moment" + kind }, canvas);
      // Flags that would lie on one another stand side by side.
      var flag = Math.min(width - 9, Math.max(9, at, last + 19));
      last = flag;
      var group = svg("g", {}, canvas);
      svg("title", {}, group).textContent = said(moment.at) + ": " + moment.text;
      svg("rect", { x: flag - 9, y: 18, width: 18, height: 13, rx: 3, "class": "flag" + kind }, group);
      svg("text", { x: flag, y: 28, "class": "flagged" }, group).textContent = String(number + 1);
    });
  };

  // A line round the call that is chosen.
  Timeline.prototype.mark = function () {
    var old = this.canvas.querySelector(".chosen");
    if (old) old.remove();
    var chosen = this.chosen;
    var box = this.boxes.filter(function (one) { return one.call && one.call.number === chosen; })[0];
    if (box) {
      svg("rect", { x: box.x - 2, y: box.y - 2, width: box.width + 4, height: ROW + 4, rx: 3, "class": "chosen" }, this.canvas);
    }
  };

  Timeline.prototype.tell = function (call) {
    var detail = this.detail;
    this.chosen = call.number;
    detail.textContent = "";
    var head = html("div", "", detail);
    html("b", call.service + " " + call.method, head);
    head.appendChild(document.createTextNode(" by " + call.client + " at " + said(call.start) + ", took " + said(call.took) + ", "));
    html("span", call.status, head, call.status === "OK" ? "" : "no");
    if (call.attempt > 1) head.appendChild(document.createTextNode(", attempt " + call.attempt));
    if (call.waited > 0) head.appendChild(document.createTextNode(", waited " + said(call.waited) + " for locks"));
    if (call.resource) html("div", call.resource, detail);
    if (call.message) html("div", call.message, detail, "no");
    if (call.faults.length) html("div", "faults: " + call.faults.join(", "), detail);
    this.mark();
  };

  Timeline.prototype.tellThing = function (thing) {
    this.chosen = -1;
    this.mark();
    this.detail.textContent = "path" in thing
      ? "push " + thing.message + " to " + thing.to + thing.path + (thing.player ? " about " + thing.player : "") +
        " was answered " + thing.status + " at " + said(thing.at)
      : thing.process + " at " + said(thing.at) + ": " + thing.text;
  };

  Timeline.prototype.step = function (by) {
    var shown = this.shown();
    if (shown.length === 0) return;
    var chosen = this.chosen, at = -1;
    shown.forEach(function (call, index) { if (call.number === chosen) at = index; });
    var next = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(shown.length - 1, Math.max(0, at + by))];
    this.tell(next);
    if (next.start < this.from || next.start > this.to) this.show(next.start - (this.to - this.from) / 2, next.start + (this.to - this.from) / 2);
  };

  Timeline.prototype.show = function (from, to) {
    var whole = Math.max(1, this.run.length), span = Math.min(whole, Math.max(20, to - from));
    this.from = Math.min(Math.max(0, from), whole - span);
    this.to = this.from + span;
    this.draw();
  };
  Timeline.prototype.zoom = function (by) {
    var middle = (this.from + this.to) / 2, half = (this.to - this.from) / 2 * by;
    this.show(middle - half, middle + half);
  };
  Timeline.prototype.pan = function (by) {
    var span = this.to - this.from;
    this.show(this.from + span * by, this.to + span * by);
  };

  Timeline.prototype.listen = function () {
    var self = this, canvas = this.canvas, began = null, band = null;
    var where = function (event) {
      var box = canvas.getBoundingClientRect();
      return { x: (event.clientX - box.left) / box.width * self.width, y: (event.clientY - box.top) / box.height * self.height };
    };
    canvas.addEventListener("keydown", function (event) {
      var acts = {
        ArrowRight: function () { self.step(1); }, ArrowLeft: function () { self.step(-1); },
        "+": function () { self.zoom(0.5); }, "=": function () { self.zoom(0.5); }, "-": function () { self.zoom(2); },
        Home: function () { self.show(0, self.run.length); },
        Escape: function () { self.chosen = -1; self.hint(); self.mark(); }
      };
      if (acts[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); acts[event.key](); }
    });
    canvas.addEventListener("pointerdown", function (event) {
      if (event.button !== 0) return;
      began = where(event);
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", function (event) {
      if (!began || event.pointerType !== "mouse") return;
      var at = where(event);
      if (!band) band = svg("rect", { y: 0, height: self.height, "class": "band" }, canvas);
      band.setAttribute("x", Math.min(began.x, at.x));
      band.setAttribute("width", Math.abs(at.x - began.x));
    });
    canvas.addEventListener("pointercancel", function () { began = null; if (band) band.remove(); band = null; });
    canvas.addEventListener("pointerup", function (event) {
      if (!began) return;
      var at = where(event), left = Math.min(began.x, at.x), right = Math.max(began.x, at.x), dragged = band;
      began = null;
      if (band) band.remove();
      band = null;
      if (dragged && right - left > 6) {
        var span = self.to - self.from, from = self.from;
        self.show(from + left / self.width * span, from + right / self.width * span);
        return;
      }
      var near = self.boxes.filter(function (box) {
        return at.x >= box.x - 3 && at.x <= box.x + box.width + 3 && at.y >= box.y - 1 && at.y <= box.y + (box.tall || ROW + 1);
      }).pop();
      if (near && near.call) self.tell(near.call);
      else if (near) self.tellThing(near.thing);
    });
    var width = this.place.clientWidth, waiting = false;
    window.addEventListener("resize", function () {
      if (waiting || self.place.clientWidth === width) return;
      waiting = true;
      requestAnimationFrame(function () {
        waiting = false;
        width = self.place.clientWidth;
        if (width > 0) self.draw();
      });
    });
  };

  function open(details) {
    var place = details.querySelector(".timeline");
    if (place && details.open && !place.getAttribute("data-drawn")) {
      place.setAttribute("data-drawn", "true");
      new Timeline(place);
    }
  }
  function follow() {
    var target = /^#run-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (target) { target.open = true; open(target); target.scrollIntoView(); target.querySelector("summary").focus(); }
  }
  document.querySelectorAll("details.run").forEach(function (details) {
    open(details);
    details.addEventListener("toggle", function () { open(details); });
  });
  window.addEventListener("hashchange", follow);
  follow();
  root.setAttribute("data-ready", "true");
})();
