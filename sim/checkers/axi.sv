// AXI4 (Arm IHI 0022): bursts, and what answers them. Each channel has a stream_checker as well.

// Reads. `MOST` beats may be outstanding at most; 0 is no limit.
module axi_read_checker #(
    parameter int ADDR = 32, BYTES = 4, ID = 1, MOST = 0, WHOLE = 0
) (
    input clk, rst,
    input arvalid, arready, input [ID-1:0] arid, input [ADDR-1:0] araddr,
    input [7:0] arlen, input [2:0] arsize, input [1:0] arburst,
    input rvalid, rready, input [ID-1:0] rid, input rlast,
    input [15:0] number
);
    import checks::*;

    logic [7:0] lengths [2**ID][$];     // of bursts that are not complete, oldest first
    logic [7:0] beat [2**ID];           // of the oldest
    int outstanding;                    // beats

    burst_checker #(ADDR, BYTES, WHOLE) burst (
        .clk, .rst, .valid(arvalid), .addr(araddr), .len(arlen), .size(arsize), .kind(arburst),
        .number);

    always @(posedge clk) if (rst || off) begin
        for (int id = 0; id < 2**ID; id++) begin
            lengths[id].delete();
            beat[id] = 0;
        end
        outstanding = 0;
    end else begin
        if (rvalid) begin
            if (lengths[rid].size() == 0) report(number, UNASKED);
            else if (rlast != (beat[rid] == lengths[rid][0])) report(number, LAST);
            else if (rready) begin
                outstanding = outstanding - 1;
                beat[rid] = rlast ? 0 : beat[rid] + 1;
                if (rlast) void'(lengths[rid].pop_front());
            end
        end
        if (arvalid && arready) begin
            lengths[arid].push_back(arlen);
            outstanding = outstanding + int'(arlen) + 1;
            if (MOST != 0 && outstanding > MOST) report(number, TOO_MANY);
        end
    end
endmodule

// Writes. `MOST` may be outstanding at most; 0 is no limit. Data may come before their address.
module axi_write_checker #(
    parameter int ADDR = 32, BYTES = 4, ID = 1, MOST = 0, WHOLE = 0
) (
    input clk, rst,
    input awvalid, awready, input [ID-1:0] awid, input [ADDR-1:0] awaddr,
    input [7:0] awlen, input [2:0] awsize, input [1:0] awburst,
    input wvalid, wready, wlast,
    input bvalid, bready, input [ID-1:0] bid,
    input [15:0] number
);
    import checks::*;

    logic [7:0] lengths [$];            // of bursts whose data are not complete
    logic [ID-1:0] ids [$];
    int ends [$];                       // beats of bursts whose address has not come
    int beats;                          // that came of the burst under way
    int answerable [2**ID];             // complete bursts
    int outstanding;                    // bursts

    burst_checker #(ADDR, BYTES, WHOLE) burst (
        .clk, .rst, .valid(awvalid), .addr(awaddr), .len(awlen), .size(awsize), .kind(awburst),
        .number);

    always @(posedge clk) if (rst || off) begin
        for (int id = 0; id < 2**ID; id++) answerable[id] = 0;
        lengths.delete();
        ids.delete();
        ends.delete();
        beats = 0;
        outstanding = 0;
    end else begin
        if (bvalid) begin
            if (answerable[bid] == 0) report(number, UNASKED);
            else if (bready) begin
                answerable[bid] = answerable[bid] - 1;
                outstanding = outstanding - 1;
            end
        end
        if (awvalid && awready) begin
            lengths.push_back(awlen);
            ids.push_back(awid);
            outstanding = outstanding + 1;
            if (MOST != 0 && outstanding > MOST) report(number, TOO_MANY);
        end
        if (wvalid && wready) begin
            beats = beats + 1;
            if (wlast) begin
                ends.push_back(beats);
                beats = 0;
            end
        end
        if (lengths.size() != 0 && ends.size() != 0) begin
            if (ends.pop_front() != int'(lengths.pop_front()) + 1) report(number, LAST);
            answerable[ids[0]] = answerable[ids[0]] + 1;
            void'(ids.pop_front());
        end else if (lengths.size() != 0 && beats > int'(lengths[0])) report(number, LAST);
    end
endmodule

// An address channel. `WHOLE`: all bursts are of whole beats of the bus, at successive addresses.
module burst_checker #(parameter int ADDR = 32, BYTES = 4, WHOLE = 0) (
    input clk, rst, valid, input [ADDR-1:0] addr,
    input [7:0] len, input [2:0] size, input [1:0] kind,
    input [15:0] number
);
    import checks::*;

    localparam int FULL = $clog2(BYTES);
    localparam int INCR = 1;
    wire [11:0] first = addr[11:0] >> size << size;

    always @(posedge clk) if (!rst && valid) begin
        if (int'(size) > FULL) report(number, WIDE);
        else if (kind == INCR && int'(first) + ((int'(len) + 1) << size) > 4096)
            report(number, CROSSES);
        else if (WHOLE != 0 && (int'(size) != FULL || kind != INCR || addr[FULL-1:0] != 0))
            report(number, SIZE);
    end
endmodule

// AXI4-Lite: a response for each access, after it.
module axi_lite_read_checker (
    input clk, rst, arvalid, arready, rvalid, rready,
    input [15:0] number
);
    import checks::*;

    int reads;                          // that have no response yet

    always @(posedge clk) if (rst || off) reads = 0;
    else begin
        if (rvalid && reads == 0) report(number, UNASKED);
        reads = reads + int'(arvalid && arready) - int'(rvalid && rready);
    end
endmodule

module axi_lite_write_checker (
    input clk, rst, awvalid, awready, wvalid, wready, bvalid, bready,
    input [15:0] number
);
    import checks::*;

    int addresses, words;               // that have no response yet

    always @(posedge clk) if (rst || off) begin
        addresses = 0;
        words = 0;
    end else begin
        if (bvalid && (addresses == 0 || words == 0)) report(number, UNASKED);
        addresses = addresses + int'(awvalid && awready) - int'(bvalid && bready);
        words = words + int'(wvalid && wready) - int'(bvalid && bready);
    end
endmodule
